// Package e2b serves E2B's API beside ours, so that programs that were written
// with E2B's published packages run against this server: the control API here and
// in the files beside, the in-sandbox daemon in internal/e2b/envd, the code
// interpreter on port 49999. docs/e2b.md says what is served and what is not.
//
// It keeps no state of its own: sandboxes are internal/control's, and what E2B has
// beyond ours (tokens, choices at creation) are a sandbox's notes.
package e2b

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/e2b/envd"
)

// EnvdVersion is the version of E2B's daemon whose features clients find here.
const EnvdVersion = "0.5.7"

// The ports that clients reach the server's own services by, in any sandbox.
const (
	PortEnvd        = 49983
	PortInterpreter = 49999
)

// Config is what a Server is made of.
type Config struct {
	Sandboxes *control.Service
	// Templates lists what owner's sandboxes can be made from; nil: nothing is listed.
	Templates func(ctx context.Context, owner string) ([]Template, error)
	// RemoveTemplate removes one of owner's; nil: templates cannot be removed.
	RemoveTemplate func(ctx context.Context, owner, name string) error
	// Internet opens the public internet to sandboxes whose maker did not say, as
	// E2B's own service does.
	Internet bool
	Log      *slog.Logger // default: none
}

// Template is one root filesystem.
type Template struct {
	Name   string
	Digest string
	Bytes  int64
	Public bool // everybody's
}

// Server answers requests of E2B's clients. It must be closed.
type Server struct {
	cfg    Config
	log    *slog.Logger
	daemon *envd.Server
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, log: cfg.Log, daemon: envd.New(envd.Config{Log: cfg.Log})}
}

// Close ends what goes on between requests.
func (s *Server) Close() error { return s.daemon.Close() }

// Route is one row of the control API. All of them need a key.
type Route struct {
	Pattern string // as http.ServeMux takes it
	handle  handler
}

// handler answers one request of owner's, or says why it cannot.
type handler func(s *Server, w http.ResponseWriter, r *request) error

// request is a request of somebody who is known.
type request struct {
	*http.Request
	owner string
}

// Serve answers a request of owner's to this route. When it returns an error,
// nothing was written; Fail writes it as clients expect it.
func (x Route) Serve(s *Server, w http.ResponseWriter, r *http.Request, owner string) error {
	return x.handle(s, w, &request{r, owner})
}

const box = "/sandboxes/{id}"

// Routes is the control API. Clients of different years call the same thing below
// / and below /v2.
func Routes() []Route {
	return append([]Route{
		{"POST /sandboxes", createV1},
		{"POST /v2/sandboxes", createV2},
		{"GET /sandboxes", listV1},
		{"GET /v2/sandboxes", listV2},
		{"GET /sandboxes/metrics", listMetrics},
		{"GET " + box, getSandbox},
		{"DELETE " + box, killSandbox},
		{"POST " + box + "/connect", connectV1},
		{"POST /v2" + box + "/connect", connectV2},
		{"POST " + box + "/resume", connectV1},
		{"POST " + box + "/timeout", setTimeout},
		{"POST " + box + "/refreshes", refresh},
		{"POST " + box + "/pause", pauseSandbox},
		{"PUT " + box + "/network", updateNetwork},
		{"GET " + box + "/metrics", getMetrics},
		{"GET " + box + "/logs", getLogs},
		{"GET /v2" + box + "/logs", getLogsV2},

		{"POST " + box + "/snapshots", createSnapshot},
		{"POST " + box + "/fork", forkSandbox},
		{"GET /snapshots", listSnapshots},

		{"GET /templates", listTemplates},
		{"GET /templates/{name}", getTemplate},
		{"GET /templates/aliases/{name}", getAlias},
		{"DELETE /templates/{name}", deleteTemplate},
	}, missingRoutes()...)
}
