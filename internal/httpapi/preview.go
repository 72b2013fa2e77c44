package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

// Where a preview token may be: a header, the query, and the cookie that one in the
// query is kept in, so that a browser needs it once.
const (
	headerPreview = "X-Brig-Preview"
	previewName   = "brig_preview"
)

// previewPath is what a preview's address begins with.
const previewPath = "/v1/p/"

// previewOf finds the token of a request to a port; "" is none.
func previewOf(r *http.Request) string {
	if t := r.Header.Get(headerPreview); t != "" {
		return t
	}
	if t := r.URL.Query().Get(previewName); t != "" {
		return t
	}
	if c, err := r.Cookie(previewName); err == nil {
		return c.Value
	}
	return ""
}

// keepPreview has a browser send a token again that was in the query. It is asked
// only of a host name that is the port's own.
func keepPreview(w http.ResponseWriter, r *http.Request, token string) {
	if token == "" || r.URL.Query().Get(previewName) != token {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: previewName, Value: token, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// makePreview makes a token that admits to a port.
func makePreview(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var req api.PreviewRequest
	if err := readBody(w, r, maxBody, &req); err != nil {
		return err
	}
	p, err := sb.Preview(req)
	if err != nil {
		return err
	}
	p.URL = baseOf(r.Request) + previewPath + p.Token + "/"
	writeJSON(w, http.StatusCreated, p)
	return nil
}

// baseOf is how the caller reached the server.
func baseOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// openPreview passes a request with a token in its path on to what the token admits
// to.
func openPreview(s *Server, w http.ResponseWriter, r *request) error {
	token := r.PathValue("token")
	sb, port, err := s.cfg.Sandboxes.OpenPreview(token, r.PathValue("path"))
	if err != nil {
		return unauthorized{asError(err)}
	}
	release, err := s.turns.take(r.Context(), sb.Owner(), 0)
	if err != nil {
		return err
	}
	defer release()
	visitOf(r.Request).target = sb.ID()
	s.ports.serve(w, r.Request, passageBelow(r.Request, sb, port, previewPath+token))
	return nil
}

// toPreview adds the slash behind a token that a browser left out.
func toPreview(s *Server, w http.ResponseWriter, r *request) error {
	if _, _, err := s.cfg.Sandboxes.OpenPreview(r.PathValue("token"), "/"); err != nil {
		return unauthorized{asError(err)}
	}
	http.Redirect(w, r.Request, r.URL.EscapedPath()+"/", http.StatusTemporaryRedirect)
	return nil
}
