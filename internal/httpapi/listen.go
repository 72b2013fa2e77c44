package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of connections. Bodies and replies may take as long as they need, as long
// as they move (patience.go): uploads and streams are slow, and each has its own end.
const (
	idleConnection = 5 * time.Minute
	maxHeaderBytes = 64 << 10
	maxConnections = 16 << 10 // of one listener; more wait to be accepted
)

// Listener is one place where a Server is reached. Whoever reaches a trusted one
// is the local owner.
type Listener struct {
	net.Listener
	Trusted bool
	TLS     *tls.Config // nil: none
}

// Serve answers until ctx ends; then it takes no more requests, gives those under
// way drain to end, and breaks off the rest. It closes the listeners. An error
// says that one of them failed.
func (s *Server) Serve(ctx context.Context, listeners []Listener, drain time.Duration) error {
	failed := make(chan error, len(listeners))
	var servers []*http.Server
	var running sync.WaitGroup
	for _, l := range listeners {
		server := s.serverOf(l)
		servers = append(servers, server)
		bounded := newBounded(l.Listener, maxConnections)
		running.Go(func() {
			if l.TLS != nil {
				failed <- server.ServeTLS(bounded, "", "")
				return
			}
			failed <- server.Serve(bounded)
		})
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

func (s *Server) serverOf(l Listener) *http.Server {
	return &http.Server{
		Handler: s.use.count(s.Handler(l.Trusted)), ReadHeaderTimeout: s.patience.header,
		IdleTimeout: idleConnection, MaxHeaderBytes: maxHeaderBytes, TLSConfig: l.TLS,
		// What goes wrong with a connection is its caller's fault, and there are many.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// boundedListener accepts no more than so many connections at a time.
type boundedListener struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	close  func()
}

func newBounded(l net.Listener, n int) *boundedListener {
	b := &boundedListener{Listener: l, places: make(chan struct{}, n), closed: make(chan struct{})}
	b.close = sync.OnceFunc(func() { close(b.closed) })
	return b
}

// Accept implements net.Listener; it waits for a place first.
func (b *boundedListener) Accept() (net.Conn, error) {
	select {
	case b.places <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { <-b.places })}, nil
}

// Close implements net.Listener.
func (b *boundedListener) Close() error {
	b.close()
	return b.Listener.Close()
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// CloseWrite lets a server end its side first, so that a caller who is refused in
// the middle of a body still reads why.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
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
