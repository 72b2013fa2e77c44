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
	// accessUser is whoever has a key that allows it (needOf), or a trusted
	// connection. What the route names has to be the caller's own: control decides
	// that.
	accessUser access = iota + 1
	// accessPublic is anybody who reaches the server.
	accessPublic
	// accessToken is anybody too, but the route demands a credential of its own: a
	// sandbox's token, a signed address.
	accessToken
)

// caller is who sends a request.
type caller struct {
	owner string
	key   auth.Key
}

// unauthorized is an error with a status of its own: api has no code for it,
// because nothing but HTTP has callers that it does not know.
type unauthorized struct{ err *api.Error }

func (u unauthorized) Error() string { return u.err.Message }
func (u unauthorized) Unwrap() error { return u.err }

// forbidden is another one: the caller is known, and may not.
type forbidden struct{ err *api.Error }

func (f forbidden) Error() string { return f.err.Message }
func (f forbidden) Unwrap() error { return f.err }

// admit says who the caller is.
func (s *Server) admit(r *http.Request, rule access, need auth.Need) (caller, error) {
	switch rule {
	case accessPublic, accessToken:
		return caller{}, nil
	case accessUser:
	default: // a row without a rule admits nobody
		return caller{}, api.Errorf(api.CodeInternal, "cannot admit the request: because its route has no access rule")
	}
	c, ok := s.callerOf(r)
	if !ok {
		return caller{}, unauthorized{api.Errorf(api.CodeInvalid, "cannot admit the request: because it has no valid key").
			WithFix("send 'Authorization: Bearer brig_…'; 'brig key create' makes a key")}
	}
	visitOf(r).caller = c
	if !c.key.Allows(need) {
		return caller{}, forbidden{api.Errorf(api.CodeInvalid, "cannot do this with the key %s…: because it has not the scope %s", c.key.Prefix, need.Scope).
			WithFix("make a key with 'brig key create --scope %s'", need.Scope)}
	}
	return c, nil
}

// callerOf knows the caller by its connection or its key.
func (s *Server) callerOf(r *http.Request) (caller, bool) {
	if visitOf(r).trusted {
		return caller{owner: auth.LocalOwner, key: auth.Key{Owner: auth.LocalOwner, Scopes: []auth.Scope{auth.ScopeAdmin}}}, true
	}
	secret := secretOf(r)
	if secret == "" || s.cfg.Keys == nil {
		return caller{}, false
	}
	key, ok := s.cfg.Keys.Check(secret)
	return caller{owner: key.Owner, key: key}, ok
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

// scopes are those that paths demand, by their beginnings; the longest counts.
// What is not here demands ScopeSandboxes.
func scopes() map[string]auth.Scope {
	return map[string]auth.Scope{
		"/v1/templates": auth.ScopeTemplates, "/templates": auth.ScopeTemplates, "/v2/templates": auth.ScopeTemplates, "/v3/templates": auth.ScopeTemplates,
		"/v1/batches": auth.ScopeBatches, "/v1/files": auth.ScopeBatches,
		"/v1/keys": auth.ScopeKeys, "/v1/me/tokens": auth.ScopeKeys, "/v1/me": "",
		"/v1/audit": auth.ScopeAudit, "/metrics": auth.ScopeAdmin,
	}
}

// needOf is what a key has to allow for a method, "" for any, of a path or a
// pattern's path.
func needOf(method, path string) auth.Need {
	need := auth.Need{Scope: auth.ScopeSandboxes, Looks: looks(method, path)}
	longest := ""
	for prefix, scope := range scopes() {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > len(longest) {
			longest, need.Scope = prefix, scope
		}
	}
	return need
}

// looks tells whether a request only reads. Some run programs although they are
// GETs, because that is how WebSockets begin.
func looks(method, path string) bool {
	if method != http.MethodGet && method != http.MethodHead {
		return false
	}
	for _, runs := range []string{"/exec/", "/ssh", "/pty", "/proxy/", "/connect", "/mcp", "/lsp/"} {
		if strings.Contains(path+"/", runs+"/") || strings.HasSuffix(runs, "/") && strings.Contains(path, runs) {
			return false
		}
	}
	return true
}

// needOfRow is needOf for a row of the table.
func needOfRow(pattern string) auth.Need {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = "", pattern
	}
	return needOf(method, path)
}
