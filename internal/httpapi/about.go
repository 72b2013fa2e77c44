package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

// statusBody is one word on how something is.
type statusBody struct {
	Status string `json:"status"`
}

// versionBody names the server.
type versionBody struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// healthz says that the server answers.
func healthz(s *Server, w http.ResponseWriter, _ *request) error {
	writeJSON(w, http.StatusOK, statusBody{"ok"})
	return nil
}

// readyz says whether it can make sandboxes.
func readyz(s *Server, w http.ResponseWriter, r *request) error {
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(r.Context()); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, statusBody{"ready"})
	return nil
}

func version(s *Server, w http.ResponseWriter, _ *request) error {
	writeJSON(w, http.StatusOK, versionBody{"brig", s.cfg.Version})
	return nil
}

func listTemplates(s *Server, w http.ResponseWriter, r *request) error {
	list, err := s.templates(r)
	if err != nil {
		return err
	}
	if list, err = page(w, r, list, func(t Template) string { return t.Name }); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func getTemplate(s *Server, w http.ResponseWriter, r *request) error {
	list, err := s.templates(r)
	if err != nil {
		return err
	}
	for _, t := range list {
		if t.Name == r.PathValue("name") {
			writeJSON(w, http.StatusOK, t)
			return nil
		}
	}
	return api.Errorf(api.CodeNotFound, "cannot find template %.80q: because there is none", r.PathValue("name")).
		WithFix("list them with GET /v1/templates")
}

func (s *Server) templates(r *request) ([]Template, error) {
	if s.cfg.Templates == nil {
		return []Template{}, nil
	}
	all, err := s.cfg.Templates(r.Context())
	if err != nil || s.cfg.Builds == nil {
		return all, err
	}
	list := []Template{}
	for _, t := range all {
		if s.cfg.Builds.MayUse(r.templateOwner(), t.Name) {
			t.IsGlobal = s.cfg.Builds.OwnerOf(t.Name) == ""
			list = append(list, t)
		}
	}
	return list, nil
}

// notPart is for what others' servers have and this one does not.
func notPart(what string) error {
	return api.Errorf(api.CodeUnsupported, "%s is not part of this server", what).WithFix("docs/service.md lists what is")
}

// missing answers a route that only says so.
func missing(what string) handler {
	return func(*Server, http.ResponseWriter, *request) error { return notPart(what) }
}
