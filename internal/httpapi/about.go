package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

// healthz says that the server answers.
func healthz(s *Server, w http.ResponseWriter, _ *request) error {
	writeJSON(w, http.StatusOK, map[string]any{"status": "ok"})
	return nil
}

// readyz says whether it can make sandboxes.
func readyz(s *Server, w http.ResponseWriter, r *request) error {
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(r.Context()); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"status": "ready"})
	return nil
}

func version(s *Server, w http.ResponseWriter, _ *request) error {
	writeJSON(w, http.StatusOK, map[string]string{"name": "brig", "version": s.cfg.Version})
	return nil
}

func listTemplates(s *Server, w http.ResponseWriter, r *request) error {
	list, err := s.templates(r)
	if err != nil {
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
	return s.cfg.Templates(r.Context())
}

// notPart is for what others' servers have and this one does not.
func notPart(what string) error {
	return api.Errorf(api.CodeUnsupported, "%s is not part of this server", what).WithFix("docs/service.md lists what is")
}

// missing answers a route that only says so.
func missing(what string) handler {
	return func(*Server, http.ResponseWriter, *request) error { return notPart(what) }
}
