// Package envd speaks, for a sandbox, what E2B's daemon inside a sandbox speaks to
// published clients: processes and files as Connect calls in JSON, and a few plain
// HTTP routes. Nothing of it runs inside: it is served on the host over
// control.Sandbox. Who may call it is decided before. docs/e2b.md describes what
// differs from E2B's own.
package envd

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"

	"github.com/brigdev/brig/internal/control"
)

// Config is what a Server is made of.
type Config struct {
	Log *slog.Logger // default: none
}

// Server answers for every sandbox. It must be closed.
type Server struct {
	log   *slog.Logger
	table map[string]handler

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup // watchers that are polled

	mu       sync.Mutex
	watchers map[string]*watcher // by id
}

// call is one request for one sandbox.
type call struct {
	*http.Request
	w  http.ResponseWriter
	sb *control.Sandbox
}

// handler answers, or says why it cannot.
type handler func(s *Server, c *call) error

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{log: cfg.Log, table: table(), watchers: map[string]*watcher{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close ends the watchers that are polled and waits for them.
func (s *Server) Close() error {
	s.stop()
	s.work.Wait()
	return nil
}

// table is all that is served, by method and path.
func table() map[string]handler {
	return map[string]handler{
		"GET /health":         health,
		"GET /files":          getFile,
		"HEAD /files":         getFile,
		"POST /files":         postFiles,
		"POST /files/compose": composeFiles,
		"GET /metrics":        metrics,
		"GET /envs":           envs,

		"POST /process.Process/Start":       stream(startProcess),
		"POST /process.Process/Connect":     stream(connectProcess),
		"POST /process.Process/List":        unary(listProcesses),
		"POST /process.Process/SendSignal":  unary(sendSignal),
		"POST /process.Process/SendInput":   unary(sendInput),
		"POST /process.Process/CloseStdin":  unary(closeStdin),
		"POST /process.Process/Update":      unary(updateProcess),
		"POST /process.Process/StreamInput": streamInput,

		"POST /filesystem.Filesystem/Stat":             unary(statPath),
		"POST /filesystem.Filesystem/ListDir":          unary(listDir),
		"POST /filesystem.Filesystem/MakeDir":          unary(makeDir),
		"POST /filesystem.Filesystem/Move":             unary(movePath),
		"POST /filesystem.Filesystem/Remove":           unary(removePath),
		"POST /filesystem.Filesystem/WatchDir":         stream(watchDir),
		"POST /filesystem.Filesystem/CreateWatcher":    unary(createWatcher),
		"POST /filesystem.Filesystem/GetWatcherEvents": unary(watcherEvents),
		"POST /filesystem.Filesystem/RemoveWatcher":    unary(removeWatcher),
	}
}

// ServeHTTP answers one request for sb, whose path begins at the daemon's root.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request, sb *control.Sandbox) {
	c := &call{Request: r, w: w, sb: sb}
	do, ok := s.table[r.Method+" "+r.URL.Path]
	if !ok {
		writeJSON(w, http.StatusNotFound, httpError{http.StatusNotFound, "there is no such route"})
		return
	}
	if err := do(s, c); err != nil {
		s.fail(c, err)
	}
}

func health(_ *Server, c *call) error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller is gone if this fails
}
