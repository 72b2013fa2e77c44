package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
)

// rows is a server whose route table a test walks: a sandbox, a snapshot and a
// process of ann's, and keys of all kinds that do not open them.
type rows struct {
	handler http.Handler
	fill    *strings.Replacer
	sandbox *control.Sandbox
	process string
	good    string            // bob's, for everything of bob's
	bad     map[string]string // what is wrong with a key, and the key
	narrow  map[auth.Scope]string
}

func newRows(t *testing.T) *rows {
	t.Helper()
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	mint := func(req auth.Request) (auth.Key, string) {
		key, secret, err := keys.Create(req)
		if err != nil {
			t.Fatal(err)
		}
		return key, secret
	}
	x := &rows{narrow: map[auth.Scope]string{}}
	_, x.good = mint(auth.Request{Owner: "bob"})
	_, expired := mint(auth.Request{Owner: "ann", TTL: 1})
	gone, revoked := mint(auth.Request{Owner: "ann"})
	if err := keys.Revoke(gone.Prefix); err != nil {
		t.Fatal(err)
	}
	for _, scope := range auth.Scopes() {
		_, x.narrow[scope] = mint(auth.Request{Owner: "ann", Scopes: []auth.Scope{scope}})
	}
	x.bad = map[string]string{
		"none": "", "a wrong one": "brig_wrong", "one cut short": x.good[:len(x.good)-1], "one that goes on": x.good + "0",
		"an expired one": expired, "a revoked one": revoked, "a beginning": gone.Prefix, "a long one": strings.Repeat("x", 20_000),
	}
	r := controltest.New(t)
	if x.sandbox, err = r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, ""); err != nil {
		t.Fatal(err)
	}
	snap, err := x.sandbox.Snapshot(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := x.sandbox.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"hang"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	x.process = p.ID
	x.fill = strings.NewReplacer("{id}", x.sandbox.ID(), "{snapshot}", snap.ID, "{process}", p.ID, "{port}", "8080", "{$}", "")
	server := New(Config{Sandboxes: r.Service, Keys: keys})
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	x.handler = server.Handler(false)
	return x
}

// wildcard matches what of a pattern has no name of ours.
var wildcard = regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`)

// ask sends a request that fits a row, with a key, and gives the status.
func (x *rows) ask(t *testing.T, pattern, key string) int {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = http.MethodGet, pattern
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	path = wildcard.ReplaceAllString(x.fill.Replace(path), "x")
	req := httptest.NewRequestWithContext(ctx, method, path+"?path=/work/x&to=/work/y", strings.NewReader(`{"cmd":"true","code":"get x","signal":"KILL"}`))
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	x.handler.ServeHTTP(w, req)
	return w.Code
}

// TestRoutes walks the table: every row has a rule and a handler, and on every
// route that is not public a caller without a key, or with one that is not good, is
// turned away; one whose key has not the scope too; and another owner's sandbox and
// snapshot do not exist.
func TestRoutes(t *testing.T) {
	x := newRows(t)
	for _, row := range routes() {
		if row.handle == nil {
			t.Errorf("%s has no handler", row.pattern)
		}
		switch row.access {
		case accessPublic:
			if code := x.ask(t, row.pattern, ""); code != http.StatusOK {
				t.Errorf("%s: status %d without a key", row.pattern, code)
			}
		case accessToken:
			for what, key := range x.bad {
				if code := x.ask(t, row.pattern, key); code < 400 || code >= 500 {
					t.Errorf("%s: status %d without a token, with this key: %s", row.pattern, code, what)
				}
			}
		case accessUser:
			x.walk(t, row)
		default:
			t.Errorf("%s has no access rule", row.pattern)
		}
	}
	if info, err := x.sandbox.Process(x.process); err != nil || !info.Running {
		t.Errorf("somebody else reached the process: %+v, %v", info, err)
	}
}

// walk checks a row that needs a key.
func (x *rows) walk(t *testing.T, row route) {
	for what, key := range x.bad {
		if code := x.ask(t, row.pattern, key); code != http.StatusUnauthorized {
			t.Errorf("%s: status %d with this key: %s", row.pattern, code, what)
		}
	}
	need := needOfRow(row.pattern)
	for scope, key := range x.narrow {
		if (auth.Key{Scopes: []auth.Scope{scope}}).Allows(need) {
			continue // ann may, and would
		}
		if code := x.ask(t, row.pattern, key); code != http.StatusForbidden {
			t.Errorf("%s: status %d with a key for %s only", row.pattern, code, scope)
		}
	}
	code := x.ask(t, row.pattern, x.good)
	switch {
	case code == http.StatusNotImplemented: // it exists for nobody
	case strings.Contains(row.pattern, "{id}"), strings.Contains(row.pattern, "{snapshot}"):
		if code != http.StatusNotFound {
			t.Errorf("%s: status %d for another owner", row.pattern, code)
		}
	case code == http.StatusUnauthorized:
		t.Errorf("%s: a good key is refused", row.pattern)
	case code == http.StatusForbidden && need.Scope != auth.ScopeAdmin:
		t.Errorf("%s: a key for everything is not allowed", row.pattern)
	}
}

// TestRevokedKeys: a key that was revoked or has expired admits nobody.
func TestRevokedKeys(t *testing.T) {
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	key, secret, err := keys.Mint("l", "ann", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, short, err := keys.Mint("l", "ann", 1)
	if err != nil {
		t.Fatal(err)
	}
	handler := New(Config{Sandboxes: controltest.New(t).Service, Keys: keys}).Handler(false)
	ask := func(set func(*http.Request)) int {
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/sandboxes", nil)
		set(req)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		return w.Code
	}
	bearer := func(s string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s) }
	}
	query := func(r *http.Request) { r.URL.RawQuery = "access_token=" + secret }
	for what, got := range map[string]int{"a key": ask(bearer(secret)), "a key in the query": ask(query)} {
		if got != http.StatusOK {
			t.Errorf("%s: status %d", what, got)
		}
	}
	if got := ask(bearer(short)); got != http.StatusUnauthorized {
		t.Errorf("an expired key: status %d", got)
	}
	if err := keys.Revoke(key.Prefix); err != nil {
		t.Fatal(err)
	}
	if got := ask(bearer(secret)); got != http.StatusUnauthorized {
		t.Errorf("a revoked key: status %d", got)
	}
}

func TestPlainTakesOutWhatClientsActOn(t *testing.T) {
	got := plain("dial: connect: connection refused, no route to host, i/o timeout, context deadline exceeded, timeout")
	for _, word := range []string{"connection refused", "no route to host", "timeout", "deadline exceeded"} {
		if strings.Contains(got, word) {
			t.Errorf("%q still has %q", got, word)
		}
	}
}

func TestWholeRunes(t *testing.T) {
	for in, want := range map[string]int{"": 0, "a": 1, "aé": 3, "a\xc3": 1, "\xe2\x82": 0, "a\xff": 2, "\xf0\x9f\x98": 0, "\x80\x80\x80\x80": 4} {
		if got := wholeRunes([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}
