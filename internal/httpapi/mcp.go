package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/mcp"
)

// mcpRoutes are the Model Context Protocol over streamable HTTP: all tools, and
// those about one sandbox. docs/mcp.md lists them.
func mcpRoutes() []route {
	return []route{
		{"/mcp", accessUser, serveMCP},
		{"/v1/mcp", accessUser, serveMCP},
		{box + "/mcp", accessUser, serveSandboxMCP},
	}
}

func serveMCP(s *Server, w http.ResponseWriter, r *request) error {
	s.tools.server.ServeHTTP(w, r.Request, s.clientOf(r), "")
	return nil
}

func serveSandboxMCP(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	s.tools.server.ServeHTTP(w, r.Request, s.clientOf(r), sb.ID())
	return nil
}

// tools are what models use, and the handlers that their calls come to.
type tools struct {
	server         *mcp.Server
	keyed, trusted func() http.Handler
}

func newTools(s *Server) tools {
	return tools{
		server:  mcp.New(s.cfg.Version, s.log),
		keyed:   sync.OnceValue(func() http.Handler { return s.Handler(false) }),
		trusted: sync.OnceValue(func() http.Handler { return s.Handler(true) }),
	}
}

// clientOf is a client whose calls are this server's own, in the name of r's caller:
// they are admitted, limited and recorded like any other.
func (s *Server) clientOf(r *request) *client.Client {
	if visitOf(r.Request).trusted {
		return client.Through(&inward{s.tools.trusted(), r.Request}, "")
	}
	return client.Through(&inward{s.tools.keyed(), r.Request}, secretOf(r.Request))
}

// inward carries requests to a handler without a connection. Replies are held in
// memory: tools make no calls whose replies are large.
type inward struct {
	handler http.Handler
	outer   *http.Request // that they are made for
}

// RoundTrip implements http.RoundTripper.
func (t *inward) RoundTrip(req *http.Request) (*http.Response, error) {
	r := req.Clone(req.Context())
	r.RequestURI, r.RemoteAddr = req.URL.RequestURI(), t.outer.RemoteAddr
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	w := &heldReply{header: http.Header{}}
	if err := w.by(t.handler, r); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: w.status, Header: w.header, Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}, nil
}

// heldReply is a reply in memory.
type heldReply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// by has a handler answer. One that breaks off its reply is an error, as it is over
// a connection.
func (w *heldReply) by(h http.Handler, r *http.Request) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			err = api.Errorf(api.CodeUnavailable, "cannot answer: because the reply broke off")
		default:
			panic(v)
		}
	}()
	h.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (w *heldReply) Header() http.Header { return w.header }

func (w *heldReply) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *heldReply) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush lets handlers that stream use a heldReply.
func (w *heldReply) Flush() { w.WriteHeader(http.StatusOK) }
