package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
)

// needsUpgrade is an error with a status of its own.
type needsUpgrade struct{ err *api.Error }

func (n needsUpgrade) Error() string { return n.err.Message }
func (n needsUpgrade) Unwrap() error { return n.err }

// upgrade makes the connection of a request a WebSocket, which is nil when the
// request has been answered otherwise. A request that asks for no WebSocket, or comes
// from a page that may not call, gets an ordinary error.
func (s *Server) upgrade(w http.ResponseWriter, r *request) (*websocket.Conn, error) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		return nil, needsUpgrade{api.Errorf(api.CodeInvalid, "cannot serve %.100q: because it is a WebSocket and the request asks for none", r.URL.Path).
			WithFix("connect with a WebSocket client")}
	}
	if origin := r.Header.Get("Origin"); origin != "" && !s.mayCall(origin) && !sameHost(origin, r.Host) {
		return nil, forbidden{api.Errorf(api.CodeInvalid, "cannot open a WebSocket for a page of %.100q: because pages of that origin may not call", origin).
			WithFix("start the server with --allow-origin")}
	}
	conn, err := websocket.Accept(w, r.Request, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the origin is checked above
	if err != nil {
		return nil, nil // Accept has answered
	}
	return conn, nil
}

// sameHost tells whether a page is the server's own, or of a sandbox that it serves.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}
