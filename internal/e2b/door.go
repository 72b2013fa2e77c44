package e2b

import (
	"net/http"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// The headers that clients send a sandbox's tokens in.
const (
	headerEnvd    = "X-Access-Token"
	headerTraffic = "E2b-Traffic-Access-Token"
)

// Envd serves a request that was routed to a sandbox's port 49983. A sandbox that
// E2B's clients never used is closed to them.
func (s *Server) Envd(w http.ResponseWriter, r *http.Request, sb *control.Sandbox) {
	n, known := notesOf(sb)
	if s.admit(w, r, sb, known && mayUseEnvd(r, n)) {
		s.daemon.ServeHTTP(w, r, sb)
	}
}

// admit lets a request to one of the server's own ports pass, and answers it
// otherwise. Anybody may ask for the health, but wakes nothing by that.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, sb *control.Sandbox, known bool) bool {
	switch state := stateOf(sb.Info()); {
	case known || state == "":
		return s.Awake(w, r, sb)
	case r.URL.Path != "/health":
		refuse(w, r)
		return false
	case state == statePaused:
		unreachablePaused(w, sb)
		return false
	}
	return true
}

func unreachablePaused(w http.ResponseWriter, sb *control.Sandbox) {
	Unreachable(w, sb.ID(), 0, "The sandbox is paused", "paused")
}

// mayUseEnvd tells whether a request has the token of a sandbox's envd, or, for a
// file, was signed with it.
func mayUseEnvd(r *http.Request, n notes) bool {
	if n.Open || same(r.Header.Get(headerEnvd), n.EnvdToken) {
		return true
	}
	if r.URL.Path != "/files" || r.Header.Get(headerEnvd) != "" {
		return false
	}
	return signed(r, r.URL.Query(), n.EnvdToken)
}

// SignedFile serves the URL of a file that says nothing of its sandbox: clients that
// were told one address for all sandboxes make such URLs. The signature names the
// sandbox: nobody but its clients has the token in it.
func (s *Server) SignedFile(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var sb *control.Sandbox
	if q.Get("signature") != "" {
		sb = s.cfg.Sandboxes.Search(func(sb *control.Sandbox) bool {
			n, known := notesOf(sb)
			return known && signed(r, q, n.EnvdToken)
		})
	}
	if sb == nil {
		refuse(w, r)
		return
	}
	s.Envd(w, r, sb)
}

// refuse answers who has no valid token, in the shape that the caller reads: an RPC
// client's, or that of the other routes.
func refuse(w http.ResponseWriter, r *http.Request) {
	const message = "cannot admit the request: because its access token or signature is missing, wrong or too old; connect to the sandbox again"
	if strings.Contains(r.URL.Path, ".") { // a service's name
		writeJSON(w, http.StatusUnauthorized, map[string]string{"code": "unauthenticated", "message": message})
		return
	}
	writeJSON(w, http.StatusUnauthorized, errorBody{Code: http.StatusUnauthorized, Message: message})
}

// MayUsePort tells whether E2B's rules admit a request to a port of a sandbox that
// is not one of the server's own: anybody, unless its maker said otherwise, and
// then who has the traffic token. A sandbox that E2B's clients never used is closed.
func (s *Server) MayUsePort(r *http.Request, sb *control.Sandbox) bool {
	n, known := notesOf(sb)
	return known && (!n.Private || same(r.Header.Get(headerTraffic), n.TrafficToken))
}

// Awake prepares a sandbox for a request that was routed to it. When it cannot be
// reached, Awake answers the request and returns false. A sandbox that E2B's clients
// paused is woken by their connect, and by traffic only if its maker said so.
func (s *Server) Awake(w http.ResponseWriter, r *http.Request, sb *control.Sandbox) bool {
	n, known := notesOf(sb)
	switch stateOf(sb.Info()) {
	case "":
		Unreachable(w, sb.ID(), 0, "The sandbox was not found", "ended")
		return false
	case statePaused:
		if !known && sb.Info().Status == api.StatusHibernated {
			return true // ours, which wakes at its next use
		}
		if !n.AutoResume {
			unreachablePaused(w, sb)
			return false
		}
		if err := resume(r.Context(), sb, n.Timeout); err != nil {
			s.log.Warn("cannot wake a sandbox for its traffic", "id", sb.ID(), "error", err)
			Unreachable(w, sb.ID(), 0, "The sandbox cannot be resumed", "resume failed")
			return false
		}
	}
	return true
}

// Unreachable answers a request to a sandbox, or to a port of it, that is not
// there: clients take status 502, and nothing else, for the end of a sandbox. The
// reason is for people. Port 0 is none.
func Unreachable(w http.ResponseWriter, id string, port int, message, reason string) {
	writeJSON(w, http.StatusBadGateway, struct {
		SandboxID string `json:"sandboxId"`
		Port      int    `json:"port,omitempty"`
		Message   string `json:"message"`
		Code      int    `json:"code"`
		Reason    string `json:"reason,omitempty"`
		Error     string `json:"error"` // for callers that know our errors only
		RequestID string `json:"request_id,omitempty"`
	}{id, port, message, http.StatusBadGateway, reason, message, w.Header().Get("X-Request-Id")})
}
