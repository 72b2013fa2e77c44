package httpapi

import (
	"context"
	"net/http"

	"github.com/brigdev/brig/internal/e2b"
)

// newE2B makes the API of E2B's clients over the same sandboxes and templates.
func newE2B(cfg Config) *e2b.Server {
	o := e2b.Config{Sandboxes: cfg.Sandboxes, Internet: cfg.E2BInternet, Log: cfg.Log}
	if cfg.Builds != nil {
		o.RemoveTemplate = cfg.Builds.RemoveTemplate
	}
	o.Templates = func(ctx context.Context, owner string) ([]e2b.Template, error) {
		if cfg.Templates == nil {
			return nil, nil
		}
		list, err := cfg.Templates(ctx)
		var out []e2b.Template
		for _, t := range list {
			if cfg.Builds == nil || cfg.Builds.MayUse(owner, t.Name) {
				public := cfg.Builds == nil || cfg.Builds.OwnerOf(t.Name) == ""
				out = append(out, e2b.Template{Name: t.Name, Digest: t.Digest, Bytes: t.SizeBytes, Public: public})
			}
		}
		return out, err
	}
	return e2b.New(o)
}

// e2bRoutes are E2B's control API, and signed URLs of files. What is routed to a
// sandbox's own ports is not among them.
func e2bRoutes() []route {
	file := func(s *Server, w http.ResponseWriter, r *request) error {
		s.e2b.SignedFile(w, r.Request)
		return nil
	}
	rows := []route{{"GET /files", accessToken, file}, {"POST /files", accessToken, file}}
	for _, x := range e2b.Routes() {
		rows = append(rows, route{x.Pattern, accessUser, func(s *Server, w http.ResponseWriter, r *request) error {
			return x.Serve(s.e2b, w, r.Request, r.owner)
		}})
	}
	return rows
}

// Close ends what goes on between requests. The listeners are closed before.
func (s *Server) Close() error { return s.e2b.Close() }
