package auth

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

// LocalOwner is who the caller of a unix socket is, and a key that names nobody.
const LocalOwner = "local"

// Style is how a secret is written. What it opens does not depend on it.
type Style string

// The styles: published clients of other services look at a key before they send it.
const (
	StyleBrig       Style = "brig"       // brig_ and letters and digits
	StylePandaStack Style = "pandastack" // pds_ and 32 hex digits
	StyleE2B        Style = "e2b"        // e2b_ and 40 hex digits
)

const (
	// shownSecret is how much of a secret behind its style's prefix is kept, to tell
	// keys apart.
	shownSecret = 8
	maxWords    = 100    // bytes of a label or owner
	maxKeys     = 10_000 // in one file
	maxTTL      = 100 * 365 * 24 * time.Hour
	keepExpired = 30 * 24 * time.Hour
)

// Request asks for a key.
type Request struct {
	Label  string
	Owner  string        // default: LocalOwner
	Scopes []Scope       // default: ScopeAll
	TTL    time.Duration // 0: it does not expire
	Style  Style         // default: StyleBrig
}

// RequestOf checks what came from outside.
func RequestOf(r api.KeyRequest) (Request, error) {
	scopes, err := ParseScopes(r.Scopes)
	if err != nil {
		return Request{}, err
	}
	if r.TTLSeconds < 0 || r.TTLSeconds > maxTTL.Seconds() {
		return Request{}, api.Errorf(api.CodeInvalid, "cannot make a key for %g seconds: because the range is 0, which is for ever, to %g", r.TTLSeconds, maxTTL.Seconds()).
			WithFix("use 2592000, which is 30 days")
	}
	return Request{
		Label: r.Label, Owner: r.Owner, Scopes: scopes, TTL: time.Duration(r.TTLSeconds * float64(time.Second)), Style: Style(r.Style),
	}, nil
}

// Wire describes a key to the outside.
func (k Key) Wire(secret string) api.Key {
	return api.Key{
		Prefix: k.Prefix, Secret: secret, Label: k.Label, Owner: k.Owner, Scopes: k.ScopeNames(), CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
	}
}

// Mint makes a key that may do everything that is its owner's; ttl 0 means that it
// does not expire.
func (k *Keys) Mint(label, owner string, ttl time.Duration) (Key, string, error) {
	return k.Create(Request{Label: label, Owner: owner, TTL: ttl})
}

// Create makes a key. The secret is not kept: it can be told this once.
func (k *Keys) Create(r Request) (Key, string, error) {
	if err := r.check(); err != nil {
		return Key{}, "", err
	}
	var key Key
	var secret string
	err := k.edit(func(list []Key) ([]Key, error) {
		now := time.Now().UTC()
		list = slices.DeleteFunc(list, func(old Key) bool {
			return !old.ExpiresAt.IsZero() && now.Sub(old.ExpiresAt) > keepExpired
		})
		if len(list) >= maxKeys {
			return nil, api.Errorf(api.CodeExhausted, "cannot make a key: because there are %d", maxKeys).WithFix("revoke keys that nobody uses")
		}
		for {
			var shown int
			secret, shown = newSecret(r.Style)
			key = Key{Prefix: secret[:shown], Label: r.Label, Owner: cmp.Or(r.Owner, LocalOwner), Scopes: r.Scopes, Hash: hashOf(secret), CreatedAt: now}
			if !slices.ContainsFunc(list, func(old Key) bool { return old.Prefix == key.Prefix }) {
				break
			}
		}
		if r.TTL > 0 {
			key.ExpiresAt = now.Add(r.TTL)
		}
		return append(list, key), nil
	})
	key.Hash = ""
	if err != nil {
		return Key{}, "", err
	}
	return key, secret, nil
}

func (r Request) check() error {
	bad := func(s string) bool {
		return len(s) > maxWords || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
	}
	switch {
	case bad(r.Label) || bad(r.Owner):
		return api.Errorf(api.CodeInvalid, "cannot make a key: because its label or owner is longer than %d bytes or has control characters", maxWords).
			WithFix("use a short name")
	case r.TTL < 0:
		return api.Errorf(api.CodeInvalid, "cannot make a key: because its ttl is negative").WithFix("leave it out for a key that does not expire")
	case r.Style != "" && r.Style != StyleBrig && r.Style != StylePandaStack && r.Style != StyleE2B:
		return api.Errorf(api.CodeInvalid, "cannot make a key of style %.40q: because there is none", r.Style).WithFix("use brig, pandastack or e2b")
	}
	return nil
}

// newSecret makes a secret of at least 128 random bits, and says how much of it may
// be shown.
func newSecret(style Style) (secret string, shown int) {
	random := strings.ToLower(rand.Text())
	switch style {
	case StylePandaStack:
		random = randomHex(16)
	case StyleE2B:
		random = randomHex(20)
	}
	prefix := style.prefix()
	return prefix + random, len(prefix) + shownSecret
}

// prefix is what the secrets of a style begin with.
func (s Style) prefix() string {
	switch s {
	case StylePandaStack:
		return "pds_"
	case StyleE2B:
		return "e2b_"
	}
	return "brig_"
}

// LooksLikeKey tells whether a text is written as secrets of any style are.
func LooksLikeKey(s string) bool {
	for _, style := range []Style{StyleBrig, StylePandaStack, StyleE2B} {
		if strings.HasPrefix(s, style.prefix()) {
			return true
		}
	}
	return false
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
