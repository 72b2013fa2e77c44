// Package httpapi serves the sandboxes of a control.Service over HTTP, below /v1.
// The routes, with who may use each, are one table (routes.go); errors become
// statuses in one place (errors.go). docs/service.md describes the wire.
package httpapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control"
)

// Config is what a Server is made of.
type Config struct {
	Sandboxes *control.Service
	Keys      *auth.Keys // nil: only trusted connections are served
	// Templates lists what sandboxes can be made from.
	Templates func(ctx context.Context) ([]Template, error)
	// Ready says whether the server can make sandboxes; nil means that it can.
	Ready   func(ctx context.Context) error
	Version string
	Log     *slog.Logger // default: none
}

// Template is one root filesystem as the API tells of it.
type Template struct {
	Name        string `json:"name"`
	Digest      string `json:"digest"`
	SizeBytes   int64  `json:"size_bytes"`
	Description string `json:"description,omitempty"`
	IsGlobal    bool   `json:"is_global"`
}

// Server answers requests. All state is control's.
type Server struct {
	cfg Config
	log *slog.Logger
	use usage
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, log: cfg.Log}
	s.use.since = time.Now()
	return s
}

// maxRequestID bounds a caller's X-Request-Id.
const maxRequestID = 64

// Handler serves all routes. With trusted every caller is the local owner: for a
// unix socket that only this user can open.
func (s *Server) Handler(trusted bool) http.Handler {
	mux := http.NewServeMux()
	for _, row := range routes() {
		mux.Handle(row.pattern, s.serve(row, trusted))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, api.Errorf(api.CodeNotFound, "cannot serve %.200q: because there is no such route", r.URL.Path).
			WithFix("docs/service.md lists the routes"))
	})
	return withRequestID(mux)
}

// serve is one row as a handler.
func (s *Server) serve(row route, trusted bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		owner, err := s.admit(r, row.access, trusted)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if err := row.handle(s, w, &request{Request: r, owner: owner}); err != nil {
			s.fail(w, r, err)
		}
	})
}

// request is an admitted request.
type request struct {
	*http.Request
	owner string
}

// sandbox is the one that the path names, if it is the caller's.
func (s *Server) sandbox(r *request) (*control.Sandbox, error) {
	return s.cfg.Sandboxes.Find(r.owner, r.PathValue("id"))
}

// withRequestID gives every request an id, the caller's if it sent a usable one.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, func(c rune) bool { return c < '!' || c > '~' }) {
			id = "r-" + strings.ToLower(rand.Text()[:16])
		}
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r)
	})
}
