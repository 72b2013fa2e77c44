package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/brigdev/brig/api"
)

// Keys are the keys with which callers reach the server, of the caller's owner.
type Keys struct{ c *Client }

// Create makes a key; its Secret is told this once.
func (k Keys) Create(ctx context.Context, req api.KeyRequest) (api.Key, error) {
	var key api.Key
	err := k.c.call(ctx, http.MethodPost, "/v1/keys", nil, req, &key)
	return key, err
}

// List lists the keys without their secrets; with all those of all owners, for an
// admin.
func (k Keys) List(ctx context.Context, all bool) ([]api.Key, error) {
	var q url.Values
	if all {
		q = url.Values{"all": {"1"}}
	}
	var list []api.Key
	err := k.c.call(ctx, http.MethodGet, "/v1/keys", q, nil, &list)
	return list, err
}

// Revoke makes a key worthless at once. CodeNotFound.
func (k Keys) Revoke(ctx context.Context, prefix string) error {
	return k.c.call(ctx, http.MethodDelete, "/v1/keys/"+url.PathEscape(prefix), nil, nil, nil)
}
