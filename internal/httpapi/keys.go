package httpapi

import (
	"net/http"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
)

func keyRoutes() []route {
	return []route{
		{"POST /v1/keys", accessUser, createKey},
		{"GET /v1/keys", accessUser, listKeys},
		{"DELETE /v1/keys/{prefix}", accessUser, revokeKey},
		{"GET /v1/me", accessUser, whoAmI},
		{"POST /v1/me/tokens", accessUser, createToken},
		{"GET /v1/me/tokens", accessUser, listTokens},
		{"DELETE /v1/me/tokens/{prefix}", accessUser, revokeKey},
	}
}

// createKey makes a key of the caller's owner; an admin's may be anybody's.
func createKey(s *Server, w http.ResponseWriter, r *request) error {
	var body api.KeyRequest
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	key, secret, err := s.mint(r, body)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, key.Wire(secret))
	return nil
}

// mint makes a key that the caller may make.
func (s *Server) mint(r *request, body api.KeyRequest) (auth.Key, string, error) {
	if s.cfg.Keys == nil {
		return auth.Key{}, "", notPart("making keys")
	}
	req, err := auth.RequestOf(body)
	if err != nil {
		return auth.Key{}, "", err
	}
	if req.Owner == "" {
		req.Owner = r.owner
	}
	if req.Owner != r.owner && !r.admin() {
		return auth.Key{}, "", forbidden{api.Errorf(api.CodeInvalid, "cannot make a key for %.40q: because only an admin makes keys for others", req.Owner).
			WithFix("leave the owner out")}
	}
	if !r.key.MayGrant(req.Scopes) {
		return auth.Key{}, "", forbidden{api.Errorf(api.CodeInvalid, "cannot make this key: because it would do more than the key %s… that asks for it", r.key.Prefix).
			WithFix("name only scopes that it has")}
	}
	key, secret, err := s.cfg.Keys.Create(req)
	visitOf(r.Request).target = key.Prefix
	return key, secret, err
}

// keys are those that the caller may see; of all owners for an admin who asks.
func (s *Server) keys(r *request) ([]auth.Key, error) {
	if s.cfg.Keys == nil {
		return nil, nil
	}
	all, err := s.cfg.Keys.List()
	if err != nil {
		return nil, err
	}
	var list []auth.Key
	everybody := r.admin() && queryBool(r, "all")
	for _, k := range all {
		if everybody || k.Owner == r.owner {
			list = append(list, k)
		}
	}
	return list, nil
}

// listKeys lists the caller's owner's keys without secrets; ?all=1 all, for an
// admin.
func listKeys(s *Server, w http.ResponseWriter, r *request) error {
	keys, err := s.keys(r)
	if err != nil {
		return err
	}
	list := []api.Key{}
	for _, k := range keys {
		list = append(list, k.Wire(""))
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// revokeKey makes a key of the caller's owner worthless at once; an admin may name
// anybody's.
func revokeKey(s *Server, w http.ResponseWriter, r *request) error {
	if s.cfg.Keys == nil {
		return notPart("revoking keys")
	}
	owner := r.owner
	if r.admin() {
		owner = ""
	}
	if err := s.cfg.Keys.RevokeOf(owner, r.PathValue("prefix")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// whoAmI is an account in the words of PandaStack's clients.
func whoAmI(_ *Server, w http.ResponseWriter, r *request) error {
	method := "api_key"
	if r.key.Prefix == "" {
		method = "socket"
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"user_id": r.owner, "email": "", "current_org": r.owner, "orgs": []string{r.owner},
		"auth_method": method, "key": r.key.Prefix, "scopes": r.key.ScopeNames(),
	})
	return nil
}

// token is a key in the words of PandaStack's clients.
type token struct {
	Token     string    `json:"token,omitempty"` // the secret
	Prefix    string    `json:"prefix"`
	Label     string    `json:"label"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

func tokenOf(k auth.Key, secret string) token {
	return token{Token: secret, Prefix: k.Prefix, Label: k.Label, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt}
}

// createToken makes a key as the caller's own.
func createToken(s *Server, w http.ResponseWriter, r *request) error {
	var body struct {
		Label         string  `json:"label"`
		ExpiresInDays float64 `json:"expires_in_days"`
	}
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	key, secret, err := s.mint(r, api.KeyRequest{
		Label: body.Label, Scopes: r.key.ScopeNames(), TTLSeconds: body.ExpiresInDays * 24 * 3600, Style: string(auth.StylePandaStack),
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, tokenOf(key, secret))
	return nil
}

func listTokens(s *Server, w http.ResponseWriter, r *request) error {
	keys, err := s.keys(r)
	if err != nil {
		return err
	}
	list := []token{}
	for _, k := range keys {
		list = append(list, tokenOf(k, ""))
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}
