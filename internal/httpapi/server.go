// Package httpapi serves the sandboxes of a control.Service over HTTP, below /v1.
// The routes, with who may use each, are one table (routes.go); errors become
// statuses in one place (errors.go). docs/service.md describes the wire.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/builds"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/e2b"
	"github.com/brigdev/brig/internal/jobs"
)

// Config is what a Server is made of.
type Config struct {
	Sandboxes *control.Service
	Jobs      *jobs.Service   // nil: there are no batches
	Builds    *builds.Service // nil: templates are only listed, and everybody's
	Keys      *auth.Keys      // nil: only trusted connections are served
	Audit     *audit.Log      // nil: nothing is recorded
	// E2BInternet opens the internet to sandboxes that E2B's clients make without
	// saying whether they want it.
	E2BInternet bool
	Origins     []string // whose pages may call from a browser; "*" is all
	// Templates lists what sandboxes can be made from.
	Templates func(ctx context.Context) ([]Template, error)
	// Ready says whether the server can make sandboxes; nil means that it can.
	Ready   func(ctx context.Context) error
	Version string
	Log     *slog.Logger // default: none
}

// Template is one root filesystem as the API tells of it.
type Template = api.TemplateInfo

// Server answers requests. All state is control's.
type Server struct {
	cfg Config
	log *slog.Logger
	use usage

	patience patience
	turns    *turns
	metrics  counts
	denials  denials
	// tools are what language models use.
	tools tools
	e2b   *e2b.Server
	ports *portProxy
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, log: cfg.Log, patience: defaultPatience(), turns: newTurns(runtime.NumCPU())}
	s.use.since = time.Now()
	s.tools = newTools(s)
	s.e2b = newE2B(cfg)
	s.ports = newPortProxy(cfg)
	return s
}

// Handler serves all routes. With trusted every caller is the local owner: for a
// unix socket that only this user can open.
func (s *Server) Handler(trusted bool) http.Handler {
	mux := http.NewServeMux()
	for _, row := range routes() {
		mux.Handle(row.pattern, s.serve(row))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, noRoute(mux, w, r)) })
	return s.observe(s.front(s.forBrowsers(mux)), trusted)
}

// noRoute says why nothing serves a request: its path, or only its method.
func noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return api.Errorf(api.CodeNotFound, "cannot serve %.200q: because there is no such route", r.URL.Path).
			WithFix("docs/service.md lists the routes")
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return wrongMethod{api.Errorf(api.CodeInvalid, "cannot %.20s %.200q: because that is not one of its methods", r.Method, r.URL.Path).
		WithFix("use %s", strings.Join(allowed, ", "))}
}

// serve is one row as a handler.
func (s *Server) serve(row route) http.Handler {
	need, writes := needOfRow(row.pattern), audited(row.pattern)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visitOf(r)
		v.route, v.target, v.audited = row.pattern, targetOf(r), writes && row.access != accessPublic
		if waits(row.pattern) {
			waitForBody(r)
		}
		if err := s.answer(row, need, w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// answer admits the caller, waits for its turn and has the row's handler answer.
func (s *Server) answer(row route, need auth.Need, w http.ResponseWriter, r *http.Request) error {
	c, err := s.admit(r, row.access, need)
	if err != nil {
		return err
	}
	if c.owner != "" {
		release, err := s.turns.take(r.Context(), c.owner, holdsTurn(row.pattern, need))
		if err != nil {
			return err
		}
		defer release()
	}
	return row.handle(s, w, &request{Request: r, owner: c.owner, key: c.key})
}

// waits tells whether a route's body may pause: somebody types it, or it belongs to
// a program inside.
func waits(pattern string) bool {
	return strings.HasSuffix(pattern, "/stdin") || strings.Contains(pattern, "/proxy/") || strings.HasPrefix(pattern, "/v1/p/")
}

// targetOf is what a path names, for the audit log.
func targetOf(r *http.Request) string {
	for _, name := range []string{"id", "snapshot", "batch", "build", "file", "prefix", "name"} {
		if v := r.PathValue(name); v != "" {
			return clipText(v, 80)
		}
	}
	return ""
}

func clipText(s string, n int) string { return s[:min(n, len(s))] }

// request is an admitted request.
type request struct {
	*http.Request
	owner string
	key   auth.Key
}

// admin tells whether the caller may see what is others'.
func (r *request) admin() bool { return r.key.Allows(auth.Need{Scope: auth.ScopeAdmin}) }

// sandbox is the one that the path names, if it is the caller's.
func (s *Server) sandbox(r *request) (*control.Sandbox, error) {
	return s.cfg.Sandboxes.Find(r.owner, r.PathValue("id"))
}
