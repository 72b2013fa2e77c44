package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control/controltest"
)

// TestRoutes walks the table: every row has a rule and a handler, and on every
// route that is not public a caller without a key, or with a wrong one, is refused,
// and another owner's sandbox and snapshot do not exist.
func TestRoutes(t *testing.T) {
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, bob, err := keys.Mint("", "bob", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := controltest.New(t)
	sb, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, "")
	if err != nil {
		t.Fatal(err)
	}
	snap, err := sb.Snapshot(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"hang"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	server := New(Config{Sandboxes: r.Service, Keys: keys})
	handler := server.Handler(false)
	fill := strings.NewReplacer("{id}", sb.ID(), "{snapshot}", snap.ID, "{process}", p.ID, "{context}", "c", "{name}", "x", "{build...}", "b")
	for _, row := range routes() {
		if row.access != accessUser && row.access != accessPublic || row.handle == nil {
			t.Errorf("%s has no access rule or no handler", row.pattern)
			continue
		}
		method, path, found := strings.Cut(row.pattern, " ")
		if !found {
			method, path = http.MethodGet, row.pattern
		}
		ask := func(key string) int {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req := httptest.NewRequestWithContext(ctx, method, fill.Replace(path)+"?path=/work/x&to=/work/y", strings.NewReader(`{"cmd":"true","code":"get x","signal":"KILL"}`))
			if key != "" {
				req.Header.Set("Authorization", "Bearer "+key)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			return w.Code
		}
		if row.access == accessPublic {
			if code := ask(""); code != http.StatusOK {
				t.Errorf("%s: status %d without a key", row.pattern, code)
			}
			continue
		}
		for _, key := range []string{"", "brig_wrong", bob[:len(bob)-1]} {
			if code := ask(key); code != http.StatusUnauthorized {
				t.Errorf("%s: status %d with the key %q", row.pattern, code, key)
			}
		}
		code := ask(bob)
		switch {
		case code == http.StatusNotImplemented: // it exists for nobody
		case strings.Contains(row.pattern, "{id}"), strings.Contains(row.pattern, "{snapshot}"):
			if code != http.StatusNotFound {
				t.Errorf("%s: status %d for another owner", row.pattern, code)
			}
		case code == http.StatusUnauthorized:
			t.Errorf("%s: a good key is refused", row.pattern)
		}
	}
	if info, err := sb.Process(p.ID); err != nil || !info.Running {
		t.Errorf("somebody else reached the process: %+v, %v", info, err)
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
