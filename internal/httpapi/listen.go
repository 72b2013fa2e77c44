package httpapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of connections. Bodies and replies may take as long as they need: uploads
// and streams are slow, and each has its own end.
const (
	readHeaderWithin = 10 * time.Second
	idleConnection   = 5 * time.Minute
	maxHeaderBytes   = 64 << 10
)

// Listener is one place where a Server is reached. Whoever reaches a trusted one
// is the local owner.
type Listener struct {
	net.Listener
	Trusted bool
}

// Serve answers until ctx ends; then it takes no more requests, gives those under
// way drain to end, and breaks off the rest. It closes the listeners. An error
// says that one of them failed.
func (s *Server) Serve(ctx context.Context, listeners []Listener, drain time.Duration) error {
	failed := make(chan error, len(listeners))
	var servers []*http.Server
	var running sync.WaitGroup
	for _, l := range listeners {
		server := &http.Server{
			Handler: s.use.count(s.Handler(l.Trusted)), ReadHeaderTimeout: readHeaderWithin,
			IdleTimeout: idleConnection, MaxHeaderBytes: maxHeaderBytes, ErrorLog: nil,
		}
		servers = append(servers, server)
		running.Go(func() { failed <- server.Serve(l.Listener) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	var ending sync.WaitGroup
	for _, server := range servers {
		ending.Go(func() {
			if server.Shutdown(within) != nil {
				server.Close()
			}
		})
	}
	ending.Wait()
	running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// usage counts requests, so that a server that nobody uses can end.
type usage struct {
	mu    sync.Mutex
	now   int
	since time.Time // the last one ended
}

func (u *usage) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.add(1)
		defer u.add(-1)
		next.ServeHTTP(w, r)
	})
}

func (u *usage) add(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now += n
	u.since = time.Now()
}

// Idle is for how long no request was under way.
func (s *Server) Idle() time.Duration {
	s.use.mu.Lock()
	defer s.use.mu.Unlock()
	if s.use.now > 0 {
		return 0
	}
	return time.Since(s.use.since)
}
