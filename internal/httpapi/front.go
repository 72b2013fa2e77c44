package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/e2b"
)

// The headers that route a request to a port of a sandbox: ours, and those that E2B's
// clients send.
const (
	headerSandbox    = "X-Brig-Sandbox"
	headerPort       = "X-Brig-Port"
	headerE2BSandbox = "E2b-Sandbox-Id"
	headerE2BPort    = "E2b-Sandbox-Port"
)

// shortestID keeps names such as 10-0-0-5.pod.example, of machines, from being taken
// for a sandbox's.
const shortestID = 12

// routedAs is how requests to a port are named in metrics and in the audit log.
const routedAs = "(a port of a sandbox)"

// front has requests that are for a sandbox go there, by their headers or else by
// their host name, <port>-<id>.<any domain>. All others are next's.
func (s *Server) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, port, routed, err := destinationOf(r)
		switch {
		case !routed:
			next.ServeHTTP(w, r)
			return
		case err == nil:
			v := visitOf(r)
			v.route, v.target = routedAs, clipText(id, 80)
			waitForBody(r)
			err = s.toSandbox(w, r, id, port)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// destinationOf reads where a request is to go.
func destinationOf(r *http.Request) (id string, port int, routed bool, err error) {
	for _, h := range [][2]string{{headerSandbox, headerPort}, {headerE2BSandbox, headerE2BPort}} {
		id, number := r.Header.Get(h[0]), r.Header.Get(h[1])
		if id == "" && number == "" {
			continue
		}
		port, ok := portOf(number)
		if id == "" || !ok || r.Method == http.MethodConnect {
			return "", 0, true, api.Errorf(api.CodeInvalid, "cannot find the sandbox of the request: because its headers %s and %s do not name one and a port", h[0], h[1]).
				WithFix("send both, or neither")
		}
		return id, port, true, nil
	}
	label, _, _ := strings.Cut(r.Host, ".")
	number, id, found := strings.Cut(label, "-")
	port, ok := portOf(number)
	if !found || !ok || len(id) < shortestID || label == r.Host || r.Method == http.MethodConnect {
		return "", 0, false, nil
	}
	return strings.ToLower(id), port, true, nil
}

// portOf reads a port's number.
func portOf(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && n > 0
}

// toSandbox answers a request that is for a port of a sandbox. Two ports are the
// server's own in every sandbox; the others are served by what listens inside. When
// it returns an error, nothing was written.
func (s *Server) toSandbox(w http.ResponseWriter, r *http.Request, id string, port int) error {
	unknown := func() error {
		e2b.Unreachable(w, clipText(id, 80), 0, "The sandbox was not found", "unknown")
		return nil
	}
	sb, err := s.cfg.Sandboxes.Lookup(id)
	if err != nil {
		return unknown()
	}
	holds := time.Duration(0)
	if r.Method == http.MethodPost && (port == e2b.PortEnvd || port == e2b.PortInterpreter) {
		holds = turnRuns
	}
	release, err := s.turns.take(r.Context(), sb.Owner(), holds)
	if err != nil {
		return err
	}
	defer release()
	switch port {
	case e2b.PortEnvd:
		s.e2b.Envd(w, r, sb)
		return nil
	case e2b.PortInterpreter:
		return s.e2b.Interpreter(w, r, sb)
	}
	token := previewOf(r)
	c, known := s.callerOf(r)
	ours := known && c.owner == sb.Owner()
	switch {
	case ours && c.key.Allows(auth.Need{Scope: auth.ScopeSandboxes}):
		v := visitOf(r)
		v.caller, v.audited = c, true
	case s.e2b.MayUsePort(r, sb), sb.PortIsPublic(port), s.mayPreview(token, sb, port, r.URL.Path):
	case known && !ours:
		return unknown()
	case known || token != "" || r.Header.Get("E2b-Traffic-Access-Token") != "":
		return forbidden{errPrivate(port)}
	default:
		return unauthorized{errPrivate(port)}
	}
	if !s.e2b.Awake(w, r, sb) {
		return nil
	}
	keepPreview(w, r, token)
	s.ports.serve(w, r, passage{sb: sb, port: port, path: r.URL.EscapedPath(), host: r.Host, routed: true})
	return nil
}

func errPrivate(port int) *api.Error {
	return api.Errorf(api.CodeInvalid, "cannot use port %d of the sandbox: because it is private", port).
		WithFix("send its owner's key or a preview token (POST /v1/sandboxes/ID/preview-token), or make the port public (POST /v1/sandboxes/ID/ports)")
}

// mayPreview tells whether a token admits to this port of this sandbox.
func (s *Server) mayPreview(token string, sb *control.Sandbox, port int, path string) bool {
	if token == "" {
		return false
	}
	whose, p, err := s.cfg.Sandboxes.OpenPreview(token, path)
	return err == nil && whose == sb && p == port
}
