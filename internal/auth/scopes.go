package auth

import (
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
)

// Scope is one thing that a key may do. A key without scopes has ScopeAll.
type Scope string

// The scopes. All of them but ScopeAdmin reach only what is the key's owner's.
const (
	ScopeAll       Scope = "all"       // everything but ScopeAdmin
	ScopeRead      Scope = "read"      // look at everything, change and run nothing
	ScopeSandboxes Scope = "sandboxes" // sandboxes and their snapshots
	ScopeBatches   Scope = "batches"   // batches and their files
	ScopeTemplates Scope = "templates" // build, list and remove templates
	ScopeKeys      Scope = "keys"      // make, list and revoke keys
	ScopeAudit     Scope = "audit"     // read the audit log
	ScopeAdmin     Scope = "admin"     // everything, keys, audit and metrics of all owners too
)

// Scopes lists all of them.
func Scopes() []Scope {
	return []Scope{ScopeAll, ScopeRead, ScopeSandboxes, ScopeBatches, ScopeTemplates, ScopeKeys, ScopeAudit, ScopeAdmin}
}

// Need is what a request has to be allowed: a scope, and whether looking is all it
// does. The zero Need is met by every key.
type Need struct {
	Scope Scope
	Looks bool
}

// Allows tells whether the key has what is needed. Keys and audit say who does
// what, so ScopeRead is not enough for them.
func (k Key) Allows(n Need) bool {
	switch {
	case n.Scope == "" || k.has(ScopeAdmin):
		return true
	case n.Scope == ScopeAdmin:
		return false
	case k.has(ScopeAll) || k.has(n.Scope):
		return true
	}
	return n.Looks && k.has(ScopeRead) && n.Scope != ScopeKeys && n.Scope != ScopeAudit
}

// MayGrant tells whether a caller with k may make a key with these scopes: nobody
// gives away what it has not.
func (k Key) MayGrant(scopes []Scope) bool {
	for _, s := range orAll(scopes) {
		if !k.Allows(Need{Scope: s}) {
			return false
		}
	}
	return true
}

// ScopeNames lists what a key may do.
func (k Key) ScopeNames() []string {
	names := []string{}
	for _, s := range orAll(k.Scopes) {
		names = append(names, string(s))
	}
	return names
}

func (k Key) has(s Scope) bool { return slices.Contains(orAll(k.Scopes), s) }

func orAll(scopes []Scope) []Scope {
	if len(scopes) == 0 {
		return []Scope{ScopeAll}
	}
	return scopes
}

// ParseScopes checks names of scopes.
func ParseScopes(names []string) ([]Scope, error) {
	var scopes []Scope
	for _, name := range names {
		s := Scope(name)
		if !slices.Contains(Scopes(), s) {
			return nil, api.Errorf(api.CodeInvalid, "cannot use the scope %.40q: because there is none", name).
				WithFix("use some of %s", strings.Join(Key{Scopes: Scopes()}.ScopeNames(), ", "))
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}
