package httpapi

import (
	"net/http"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
)

// access is who may use a route.
type access int

const (
	// accessUser is whoever has a key, or a trusted connection. What the route
	// names has to be the caller's own: control decides that.
	accessUser access = iota + 1
	// accessPublic is anybody who reaches the server.
	accessPublic
)

// unauthorized is an error with a status of its own: api has no code for it,
// because nothing but HTTP has callers that it does not know.
type unauthorized struct{ err *api.Error }

func (u unauthorized) Error() string { return u.err.Message }
func (u unauthorized) Unwrap() error { return u.err }

// admit says whose request it is.
func (s *Server) admit(r *http.Request, rule access, trusted bool) (owner string, err error) {
	switch {
	case rule == accessPublic:
		return "", nil
	case rule != accessUser: // a row without a rule admits nobody
		return "", api.Errorf(api.CodeInternal, "cannot admit the request: because its route has no access rule")
	case trusted:
		return auth.LocalOwner, nil
	}
	secret := secretOf(r)
	if secret != "" && s.cfg.Keys != nil {
		if key, ok := s.cfg.Keys.Check(secret); ok {
			return key.Owner, nil
		}
	}
	return "", unauthorized{api.Errorf(api.CodeInvalid, "cannot admit the request: because it has no valid key").
		WithFix("send 'Authorization: Bearer brig_…'; 'brig key create' makes a key")}
}

// secretOf finds the key in the header, or where clients that cannot set headers
// put it.
func secretOf(r *http.Request) string {
	if scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(secret)
	}
	if key := r.Header.Get("X-API-Key"); key != "" {
		return key
	}
	return r.URL.Query().Get("access_token")
}
