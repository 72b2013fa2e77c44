package httpapi_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/httpapi"
)

// watched is a rig whose logs a test reads.
type watched struct {
	*rig
	keys *auth.Keys
	log  *lines
	dir  string // of the audit log
}

// lines is a log in memory.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	dir := t.TempDir()
	keys, err := auth.Open(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{keys: keys, log: &lines{}, dir: filepath.Join(dir, "audit")}
	record, err := audit.Open(w.dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { record.Close() })
	w.rig = &rig{Rig: controltest.NewWith(t, func(c *control.Config) { c.Audit = record }), t: t}
	w.ann, w.bob = w.key(auth.Request{Owner: "ann"}), w.key(auth.Request{Owner: "bob"})
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := httptest.NewServer(httpapi.New(httpapi.Config{
		Sandboxes: w.Service, Keys: keys, Audit: record, Version: "test", Log: log,
		Templates: func(context.Context) ([]httpapi.Template, error) { return []httpapi.Template{{Name: "fake"}}, nil },
	}).Handler(false))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *watched) key(r auth.Request) string {
	w.t.Helper()
	_, secret, err := w.keys.Create(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// as is do with another key than ann's.
func (w *watched) as(secret, method, path string, body any) reply {
	w.t.Helper()
	return w.do(method, path, body, "Authorization", "Bearer "+secret)
}

func TestKeysOverHTTP(t *testing.T) {
	w := newWatched(t)
	made := w.do("POST", "/v1/keys", api.KeyRequest{Label: "ci", Scopes: []string{"read"}, TTLSeconds: 3600, Style: "e2b"})
	w.want("create", made, http.StatusCreated)
	var key api.Key
	if err := json.Unmarshal(made.body, &key); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^e2b_[0-9a-f]{40}$`).MatchString(key.Secret) || key.Owner != "ann" || len(key.Scopes) != 1 || key.ExpiresAt.IsZero() {
		t.Errorf("%s", made.body)
	}
	w.want("it looks", w.as(key.Secret, "GET", "/v1/sandboxes", nil), http.StatusOK)
	denied := w.as(key.Secret, "POST", "/v1/sandboxes", `{"template":"fake"}`)
	w.want("it does not make", denied, http.StatusForbidden)
	if body := denied.json(t); body["code"] != "forbidden" || body["fix"] == "" {
		t.Errorf("%s", denied.body)
	}
	w.want("it makes no keys", w.as(key.Secret, "POST", "/v1/keys", nil), http.StatusForbidden)
	if list := string(w.do("GET", "/v1/keys", nil).body); !strings.Contains(list, key.Prefix) || strings.Contains(list, key.Secret) || strings.Contains(list, "hash") {
		t.Errorf("list: %s", list)
	}
	if list := string(w.as(w.bob, "GET", "/v1/keys?all=1", nil).body); strings.Contains(list, key.Prefix) {
		t.Errorf("bob sees ann's key: %s", list)
	}
	w.want("bob revokes it", w.as(w.bob, "DELETE", "/v1/keys/"+key.Prefix, nil), http.StatusNotFound)
	w.want("ann revokes it", w.do("DELETE", "/v1/keys/"+key.Prefix, nil), http.StatusNoContent)
	w.want("it is worthless", w.as(key.Secret, "GET", "/v1/sandboxes", nil), http.StatusUnauthorized)
	for what, req := range map[string]api.KeyRequest{
		"for bob": {Owner: "bob"}, "of an admin": {Scopes: []string{"admin"}},
	} {
		w.want("a key "+what, w.do("POST", "/v1/keys", req), http.StatusForbidden)
	}
	for what, body := range map[string]string{"no such scope": `{"scopes":["root"]}`, "no such style": `{"style":"x"}`, "negative": `{"ttl_seconds":-1}`} {
		w.want(what, w.do("POST", "/v1/keys", body), http.StatusBadRequest)
	}
	admin := w.key(auth.Request{Scopes: []auth.Scope{auth.ScopeAdmin}})
	w.want("an admin's, for bob", w.as(admin, "POST", "/v1/keys", api.KeyRequest{Owner: "bob"}), http.StatusCreated)
	if list := string(w.as(admin, "GET", "/v1/keys?all=1", nil).body); !strings.Contains(list, w.ann[:13]) {
		t.Errorf("an admin sees: %s", list)
	}
}

// TestTokens has the shapes of PandaStack's clients.
func TestTokens(t *testing.T) {
	w := newWatched(t)
	if me := w.do("GET", "/v1/me", nil).json(t); me["user_id"] != "ann" || me["current_org"] != "ann" || me["auth_method"] != "api_key" {
		t.Errorf("me: %v", me)
	}
	made := w.do("POST", "/v1/me/tokens", map[string]any{"label": "laptop", "expires_in_days": 30})
	w.want("create", made, http.StatusCreated)
	body := made.json(t)
	secret, prefix := body["token"].(string), body["prefix"].(string)
	if !regexp.MustCompile(`^pds_[0-9a-f]{32}$`).MatchString(secret) || prefix != secret[:12] || body["label"] != "laptop" || body["created_at"] == nil {
		t.Errorf("%s", made.body)
	}
	w.want("it works", w.as(secret, "GET", "/v1/sandboxes", nil), http.StatusOK)
	if list := string(w.do("GET", "/v1/me/tokens", nil).body); !strings.HasPrefix(list, "[") || !strings.Contains(list, prefix) || strings.Contains(list, secret) {
		t.Errorf("list: %s", list)
	}
	w.want("delete", w.do("DELETE", "/v1/me/tokens/"+prefix, nil), http.StatusNoContent)
	w.want("it is worthless", w.as(secret, "GET", "/v1/sandboxes", nil), http.StatusUnauthorized)
}

// TestAudit: what was done, by whom, is found over HTTP, to its owner only, and no
// secret is in it or in the server's log.
func TestAudit(t *testing.T) {
	w := newWatched(t)
	path := w.create()
	const secret = "s3cret-value"
	w.want("exec", w.do("POST", path+"/exec", map[string]any{"argv": []string{"cat"}, "stdin": secret, "env": map[string]string{"TOKEN": secret}}), 200)
	w.want("exec of a secret", w.do("POST", path+"/exec", map[string]any{"cmd": "echo " + secret}), 200)
	w.want("write", w.do("PUT", path+"/fs?path=/work/"+secret, secret), 200)
	w.want("read", w.do("GET", path+"/fs?path=/work/"+secret, nil), 200)
	w.want("code", w.do("POST", path+"/code", map[string]any{"code": "set x " + secret}), 200)
	w.want("a wrong key", w.as("brig_"+secret, "POST", path+"/exec", nil), 401)
	w.want("a wrong key in the query", w.as("", "GET", "/v1/sandboxes?access_token="+secret, nil), 401)
	w.want("list", w.do("GET", "/v1/sandboxes", nil), 200)
	w.want("delete", w.do("DELETE", path, nil), 204)

	got := w.do("GET", "/v1/audit?limit=50", nil)
	w.want("audit", got, 200)
	var list []audit.Entry
	if err := json.Unmarshal(got.body, &list); err != nil {
		t.Fatal(err)
	}
	var actions []string
	for i, e := range list {
		actions = append(actions, e.Action)
		if e.Owner != "ann" || e.Actor != w.ann[:13] && e.Actor != "server" || e.Time.IsZero() || i > 0 && e.ID >= list[i-1].ID {
			t.Errorf("%+v", e)
		}
		if e.Target != strings.TrimPrefix(path, "/v1/sandboxes/") {
			t.Errorf("target of %+v", e)
		}
	}
	const of = " /v1/sandboxes/{id}"
	want := []string{"DELETE" + of, "ended", "POST" + of + "/code", "GET" + of + "/fs", "PUT" + of + "/fs", "POST" + of + "/exec", "POST" + of + "/exec", "POST /v1/sandboxes"}
	if strings.Join(actions, "\n") != strings.Join(want, "\n") {
		t.Errorf("actions\n%s\nwant\n%s", strings.Join(actions, "\n"), strings.Join(want, "\n"))
	}
	for _, e := range list {
		if ran := strings.HasSuffix(e.Action, "/exec") || strings.HasSuffix(e.Action, "/code"); ran != (e.ArgvSHA256 != "") {
			t.Errorf("hash of %+v", e)
		}
	}
	if w := string(w.as(w.bob, "GET", "/v1/audit", nil).body); strings.Contains(w, "ann") {
		t.Errorf("bob sees %s", w)
	}
	all := w.as(w.key(auth.Request{Scopes: []auth.Scope{auth.ScopeAdmin}}), "GET", "/v1/audit?limit=1000", nil)
	if text := string(all.body); !strings.Contains(text, "denied") {
		t.Errorf("who was turned away is not in %s", text)
	}
	for what, text := range map[string]string{"the audit log": string(all.body), "the server's log": w.log.String()} {
		if strings.Contains(text, secret) || strings.Contains(text, w.ann) {
			t.Errorf("a secret is in %s: %s", what, text)
		}
	}
}

func TestAuditPages(t *testing.T) {
	w := newWatched(t)
	for range 5 {
		w.create()
	}
	first := w.do("GET", "/v1/audit?limit=3", nil)
	var a, b []audit.Entry
	if err := json.Unmarshal(first.body, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(w.do("GET", "/v1/audit?limit=3&before="+first.header.Get("X-Next-Cursor"), nil).body, &b); err != nil {
		t.Fatal(err)
	}
	if len(a) != 3 || len(b) != 2 || b[0].ID != a[2].ID-1 {
		t.Errorf("%v, then %v", a, b)
	}
	for _, bad := range []string{"since=yesterday", "limit=-1", "before=x"} {
		w.want(bad, w.do("GET", "/v1/audit?"+bad, nil), 400)
	}
	if got := string(w.do("GET", "/v1/audit?since="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), nil).body); got != "[]\n" {
		t.Errorf("of the future: %s", got)
	}
}

// TestMetrics: the text is what Prometheus reads, and names nobody.
func TestMetrics(t *testing.T) {
	w := newWatched(t)
	path := w.create()
	w.do("GET", path, nil)
	w.do("GET", "/v1/sandboxes/nope", nil)
	w.want("without being an admin", w.do("GET", "/metrics", nil), 403)
	got := w.as(w.key(auth.Request{Scopes: []auth.Scope{auth.ScopeAdmin}}), "GET", "/metrics", nil)
	w.want("metrics", got, 200)
	text := string(got.body)
	sample := regexp.MustCompile(`^[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)*\})? [0-9.e+-]+$`)
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "# HELP ") && !strings.HasPrefix(line, "# TYPE ") && !sample.MatchString(line) {
			t.Errorf("not a sample: %q", line)
		}
	}
	for _, want := range []string{
		`brig_requests_total{route="GET /v1/sandboxes/{id}",status="200"} 1`, `brig_requests_total{route="GET /v1/sandboxes/{id}",status="404"} 1`,
		`brig_request_seconds_count{route="POST /v1/sandboxes"} 1`, `brig_request_seconds_bucket{route="POST /v1/sandboxes",le="+Inf"} 1`,
		`brig_sandboxes{status="running"} 1`, "brig_requests_in_flight 1\n", "brig_denied_total 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "ann") || strings.Contains(text, strings.TrimPrefix(path, "/v1/sandboxes/")) {
		t.Error("an owner or a sandbox is named")
	}
}
