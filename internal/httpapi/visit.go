package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/brigdev/brig/internal/audit"
)

// visit is what is known of one request beside itself: it is filled in on the way
// and told to the metrics and the audit log at the end.
type visit struct {
	trusted bool
	caller  caller
	route   string // the row's pattern
	target  string // what the path names
	audited bool
	note    audit.Note
}

type visitKey struct{}

// visitOf gives the visit of a request; one of its own for a request that did not
// come through observe.
func visitOf(r *http.Request) *visit {
	if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

// maxRequestID bounds a caller's X-Request-Id.
const maxRequestID = 64

// observe is around everything that is served: it gives each request an id, bounds
// its body in time, survives a handler's panic, and counts.
func (s *Server) observe(next http.Handler, trusted bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		v := &visit{trusted: trusted}
		id := requestID(r)
		w.Header().Set("X-Request-Id", id)
		m := &meter{ResponseWriter: w}
		ctx := context.WithValue(audit.With(r.Context(), &v.note), visitKey{}, v)
		r = r.WithContext(ctx)
		body := meterBody(w, r, s.patience)
		s.metrics.begin()
		defer func() {
			fault := recover()
			if fault != nil && fault != http.ErrAbortHandler {
				s.log.Error("a handler failed", "route", v.route, "request", id, "fault", fault, "stack", string(debug.Stack()))
				if fault = http.ErrAbortHandler; !m.begun() {
					s.fail(m, r, errPanicked)
					fault = nil
				}
			}
			body.end()
			s.metrics.end(v.route, m.code(), time.Since(began))
			s.record(r, v, visitEnd{id: id, status: m.code(), sent: m.n, got: body.n.Load(), took: time.Since(began), broken: fault != nil})
			if fault != nil {
				panic(fault)
			}
		}()
		next.ServeHTTP(m, r)
	})
}

// errPanicked is what the caller of a handler that failed is told of it: nothing.
var errPanicked = errors.New("a handler failed")

// requestID is the caller's if it sent a usable one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, func(c rune) bool { return c < '!' || c > '~' }) {
		id = "r-" + strings.ToLower(rand.Text()[:16])
	}
	return id
}

// remoteOf is the caller's address without its port.
func remoteOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// meter is a ResponseWriter that remembers what was answered.
type meter struct {
	http.ResponseWriter
	status int
	n      int64
}

func (m *meter) WriteHeader(status int) {
	if m.status == 0 && status >= 200 {
		m.status = status
	}
	m.ResponseWriter.WriteHeader(status)
}

func (m *meter) Write(p []byte) (int, error) {
	if m.status == 0 {
		m.status = http.StatusOK
	}
	n, err := m.ResponseWriter.Write(p)
	m.n += int64(n)
	return n, err
}

// Flush is for handlers that look for a Flusher.
func (m *meter) Flush() { _ = http.NewResponseController(m.ResponseWriter).Flush() }

// Unwrap lets a ResponseController, and a WebSocket, find the connection.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *meter) begun() bool { return m.status != 0 }

// code is the status; 101 for a connection that was taken over.
func (m *meter) code() int {
	if m.status == 0 {
		return http.StatusSwitchingProtocols
	}
	return m.status
}
