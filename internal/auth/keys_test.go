package auth

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

func openTest(t *testing.T) (*Keys, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	k, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return k, path
}

func TestStyles(t *testing.T) {
	k, path := openTest(t)
	for style, want := range map[Style]string{
		"": `^brig_[a-z2-7]{26}$`, StyleBrig: `^brig_[a-z2-7]{26}$`, StylePandaStack: `^pds_[0-9a-f]{32}$`, StyleE2B: `^e2b_[0-9a-f]{40}$`,
	} {
		key, secret, err := k.Create(Request{Style: style, Owner: "ann"})
		if err != nil || !regexp.MustCompile(want).MatchString(secret) || !strings.HasPrefix(secret, key.Prefix) || len(key.Prefix) > len(secret)-18 {
			t.Errorf("%q: %q with prefix %q, %v", style, secret, key.Prefix, err)
		}
		if got, ok := k.Check(secret); !ok || got.Owner != "ann" || got.Hash != "" {
			t.Errorf("%q: %+v, %v", style, got, ok)
		}
		if _, ok := k.Check(secret + "x"); ok {
			t.Errorf("%q: another secret is good too", style)
		}
		if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), secret) {
			t.Errorf("the file has the secret, or cannot be read: %v", err)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", st, err)
	}
	if _, ok := k.Check(""); ok {
		t.Error("no secret is a good one")
	}
}

func TestBadRequests(t *testing.T) {
	k, _ := openTest(t)
	for _, r := range []Request{
		{Style: "other"}, {Label: strings.Repeat("x", 101)}, {Owner: "a\nb"}, {TTL: -1},
	} {
		if _, _, err := k.Create(r); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for _, r := range []api.KeyRequest{{Scopes: []string{"root"}}, {TTLSeconds: -1}, {TTLSeconds: 1e12}} {
		if _, err := RequestOf(r); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestScopes is the whole table of what a key with one scope may do.
func TestScopes(t *testing.T) {
	use, look := func(s Scope) Need { return Need{Scope: s} }, func(s Scope) Need { return Need{s, true} }
	everything := []Need{
		use(ScopeSandboxes), look(ScopeSandboxes), use(ScopeBatches), look(ScopeBatches), use(ScopeTemplates), look(ScopeTemplates),
		use(ScopeKeys), look(ScopeKeys), use(ScopeAudit), look(ScopeAudit), use(ScopeAdmin), look(ScopeAdmin),
	}
	for scope, may := range map[Scope][]Need{
		ScopeAdmin:     everything,
		ScopeAll:       everything[:10],
		ScopeRead:      {look(ScopeSandboxes), look(ScopeBatches), look(ScopeTemplates)},
		ScopeSandboxes: {use(ScopeSandboxes), look(ScopeSandboxes)},
		ScopeBatches:   {use(ScopeBatches), look(ScopeBatches)},
		ScopeTemplates: {use(ScopeTemplates), look(ScopeTemplates)},
		ScopeKeys:      {use(ScopeKeys), look(ScopeKeys)},
		ScopeAudit:     {use(ScopeAudit), look(ScopeAudit)},
	} {
		key := Key{Scopes: []Scope{scope}}
		for _, need := range everything {
			if got := key.Allows(need); got != slices.Contains(may, need) {
				t.Errorf("%s allows %+v: %v", scope, need, got)
			}
		}
		if !key.Allows(Need{}) {
			t.Errorf("%s does not allow what needs nothing", scope)
		}
	}
	if old := (Key{}); !old.Allows(use(ScopeSandboxes)) || old.Allows(use(ScopeAdmin)) {
		t.Error("a key without scopes is not one for all")
	}
	for _, s := range Scopes() {
		if grants := (Key{Scopes: []Scope{ScopeSandboxes, ScopeKeys}}).MayGrant([]Scope{s}); grants != (s == ScopeSandboxes || s == ScopeKeys) {
			t.Errorf("a key for sandboxes and keys may grant %s: %v", s, grants)
		}
	}
	if (Key{Scopes: []Scope{ScopeKeys}}).MayGrant(nil) {
		t.Error("a key for keys may grant everything")
	}
}

// TestTwoProcesses: what one process changes holds for another at once, and changes
// at the same time are all kept.
func TestTwoProcesses(t *testing.T) {
	a, path := openTest(t)
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	key, secret, err := a.Mint("", "ann", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Check(secret); !ok {
		t.Error("the other process does not know a new key")
	}
	if err := b.RevokeOf("bob", key.Prefix); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("bob revoked ann's key: %v", err)
	}
	if err := b.Revoke(key.Prefix); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Check(secret); ok {
		t.Error("a revoked key works on")
	}
	var work sync.WaitGroup
	for i := range 40 {
		work.Go(func() {
			if _, _, err := []*Keys{a, b}[i%2].Mint("", "ann", 0); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if list, err := a.List(); err != nil || len(list) != 40 {
		t.Errorf("%d keys, %v", len(list), err)
	}
	if a.Owners() != 1 {
		t.Errorf("%d owners", a.Owners())
	}
}

// TestRevoke: a key is named by enough of its beginning, or by its secret.
func TestRevoke(t *testing.T) {
	k, _ := openTest(t)
	key, secret, err := k.Mint("", "ann", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "brig_", key.Prefix[:7], key.Prefix + "x", secret + "x"} {
		if err := k.Revoke(name); api.CodeOf(err) != api.CodeNotFound || err == nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []func() string{func() string { return key.Prefix }, func() string { return key.Prefix[:9] }, func() string { return secret }} {
		if err := k.Revoke(name()); err != nil {
			t.Errorf("%q: %v", name(), err)
		}
		if _, ok := k.Check(secret); ok {
			t.Errorf("%q: it works on", name())
		}
		if key, secret, err = k.Mint("", "ann", 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExpiry(t *testing.T) {
	k, _ := openTest(t)
	_, short, err := k.Mint("", "", time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	_, long, err := k.Mint("", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := k.Check(short); ok {
		t.Error("an expired key works on")
	}
	if key, ok := k.Check(long); !ok || key.Owner != LocalOwner {
		t.Errorf("%+v, %v", key, ok)
	}
}

// TestDamagedFile: a file that cannot be read admits nobody and is not overwritten.
func TestDamagedFile(t *testing.T) {
	k, path := openTest(t)
	_, secret, err := k.Mint("", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.Check(secret); ok {
		t.Error("a key works that is not in the file")
	}
	if _, _, err := k.Mint("", "", 0); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("mint: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "{" {
		t.Errorf("the file is %q now, %v", b, err)
	}
}
