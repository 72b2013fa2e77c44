package api

import "time"

// KeyRequest asks for a key of a service.
type KeyRequest struct {
	Label string `json:"label,omitempty"`
	Owner string `json:"owner,omitempty"` // default: the caller's; only an admin names another
	// Scopes are what the key may do: all (the default), read, sandboxes, batches,
	// templates, keys, audit, admin.
	Scopes     []string `json:"scopes,omitempty"`
	TTLSeconds float64  `json:"ttl_seconds,omitempty"` // 0: it does not expire
	Style      string   `json:"style,omitempty"`       // brig (default), pandastack or e2b: how it is written
}

// Key is one key of a service.
type Key struct {
	Prefix    string    `json:"prefix"`        // the beginning of its secret, which names it
	Secret    string    `json:"key,omitempty"` // only in the answer that made it
	Label     string    `json:"label,omitempty"`
	Owner     string    `json:"owner"`
	Scopes    []string  `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
}
