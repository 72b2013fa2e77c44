package e2b

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

// templateBody is a template. It has one build, which is itself.
type templateBody struct {
	TemplateID  string   `json:"templateID"`
	BuildID     string   `json:"buildID"`
	Names       []string `json:"names"`
	Aliases     []string `json:"aliases"`
	Public      bool     `json:"public"`
	DiskSizeMB  int64    `json:"diskSizeMB"`
	EnvdVersion string   `json:"envdVersion"`
	BuildStatus string   `json:"buildStatus"`
}

func listTemplates(s *Server, w http.ResponseWriter, r *request) error {
	list, err := s.templates(r)
	if err != nil {
		return err
	}
	out := []templateBody{}
	for _, t := range list {
		out = append(out, templateBody{
			TemplateID: t.Name, BuildID: t.Digest, Names: []string{t.Name}, Aliases: []string{t.Name}, Public: t.Public,
			DiskSizeMB: t.Bytes >> 20, EnvdVersion: EnvdVersion, BuildStatus: "ready",
		})
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *Server) templates(r *request) ([]Template, error) {
	if s.cfg.Templates == nil {
		return nil, nil
	}
	return s.cfg.Templates(r.Context(), r.owner)
}

// template finds the one that the path names.
func (s *Server) template(r *request) (Template, error) {
	list, err := s.templates(r)
	if err != nil {
		return Template{}, err
	}
	name := r.PathValue("name")
	for _, t := range list {
		if t.Name == name {
			return t, nil
		}
	}
	return Template{}, api.Errorf(api.CodeNotFound, "cannot find template %.80q: because there is none", name).WithFix("list them with GET /templates")
}

func getTemplate(s *Server, w http.ResponseWriter, r *request) error {
	t, err := s.template(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"templateID": t.Name, "names": []string{t.Name}, "aliases": []string{t.Name}, "public": t.Public, "builds": []any{},
	})
	return nil
}

// getAlias tells clients whether a name is taken.
func getAlias(s *Server, w http.ResponseWriter, r *request) error {
	t, err := s.template(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"templateID": t.Name, "public": t.Public})
	return nil
}

// deleteTemplate removes a snapshot, which has a template's id in E2B's API, or a
// template of the caller's.
func deleteTemplate(s *Server, w http.ResponseWriter, r *request) error {
	name := r.PathValue("name")
	err := s.cfg.Sandboxes.RemoveSnapshot(r.Context(), r.owner, name)
	if err != nil && api.CodeOf(err) == api.CodeNotFound && s.cfg.RemoveTemplate != nil {
		err = s.cfg.RemoveTemplate(r.Context(), r.owner, name)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
