package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/internal/audit"
)

// TestLinksAreFollowed: reading, writing and listing go through symbolic links, as
// programs do; describing and removing are about the link.
func TestLinksAreFollowed(t *testing.T) {
	r := newRig(t)
	box := r.create()
	r.want("prepare", r.do("POST", box+"/exec", map[string]any{
		"cmd": "mkdir d\nwrite d/f text\nsymlink d/f file\nsymlink /work/d dir\nsymlink gone lost\nsymlink b a\nsymlink a b\nfifo pipe",
	}), http.StatusOK)
	fs := box + "/fs"
	if got := r.do("GET", fs+"?path=/work/file", nil, "Range", "bytes=1-2"); got.status != http.StatusPartialContent || string(got.body) != "ex" {
		t.Errorf("a range through a link: %d %q", got.status, got.body)
	}
	r.want("write through a link", r.do("PUT", fs+"?path=/work/file", "new"), http.StatusOK)
	if got := r.do("GET", fs+"?path=/work/d/f", nil); string(got.body) != "new" {
		t.Errorf("written through a link: %q", got.body)
	}
	if got := r.do("GET", fs+"/dir?path=/work/dir", nil); !strings.Contains(string(got.body), `"path":"/work/dir/f"`) {
		t.Errorf("list through a link: %s", got.body)
	}
	if got := r.do("GET", fs+"/stat?path=/work/file", nil).json(t); got["kind"] != "symlink" {
		t.Errorf("stat of a link: %v", got)
	}
	for _, c := range []struct {
		what, method, path string
		status             int
	}{
		{"read a link that leads nowhere", "GET", "?path=/work/lost", http.StatusNotFound},
		{"write to a link that leads nowhere", "PUT", "?path=/work/lost", http.StatusNotFound},
		{"read a link in circles", "GET", "?path=/work/a", http.StatusBadRequest},
		{"write to a FIFO", "PUT", "?path=/work/pipe", http.StatusBadRequest},
		{"read a FIFO", "GET", "?path=/work/pipe", http.StatusBadRequest},
		{"list a file", "GET", "/dir?path=/work/d/f", http.StatusBadRequest},
		{"list nothing", "GET", "/dir?path=/work/none", http.StatusNotFound},
		{"a NUL", "GET", "?path=/a%00b", http.StatusBadRequest},
		{"remove a link", "DELETE", "?path=/work/file", http.StatusNoContent},
		{"and not what it led to", "GET", "?path=/work/d/f", http.StatusOK},
	} {
		r.want(c.what, r.do(c.method, fs+c.path, nil), c.status)
	}
}

// TestWrongExecs: what no program can be started with is the caller's fault, and
// the answer says what it was.
func TestWrongExecs(t *testing.T) {
	r := newRig(t)
	box := r.create()
	for body, says := range map[string]string{
		`{"cmd":"echo a\u0000b"}`:                        "NUL",
		`{"argv":["x","\u0000"]}`:                        "NUL",
		`{"cmd":"true","cwd":"/a\u0000"}`:                "NUL",
		`{"cmd":"` + strings.Repeat("x", 128<<10) + `"}`: "the limit is",
		`{"cmd":"true","on_timeout":"explode"}`:          "explode",
		`{"cmd":"true","timeout_seconds":"5"}`:           "timeout_seconds",
	} {
		got := r.do("POST", box+"/exec", body)
		if got.status != http.StatusBadRequest || !strings.Contains(got.json(t)["error"].(string), says) {
			t.Errorf("%.60s: %d %.300s", body, got.status, got.body)
		}
	}
}

// TestPlainRequestToSocket: what is a WebSocket says so to others in the one shape
// of errors.
func TestPlainRequestToSocket(t *testing.T) {
	r := newRig(t)
	box := r.create()
	for _, path := range []string{"/exec/ws", "/exec/raw", "/exec/pty", "/ssh"} {
		got := r.do("GET", box+path, nil)
		r.want(path, got, http.StatusUpgradeRequired)
		if body := got.json(t); body["code"] != "invalid" || body["request_id"] == "" || got.header.Get("Upgrade") != "websocket" {
			t.Errorf("%s: %v, %v", path, body, got.header)
		}
	}
}

// TestNameOfTwo: a name that two sandboxes have leads to neither, and not to a lie.
func TestNameOfTwo(t *testing.T) {
	r := newRig(t)
	for range 2 {
		r.want("create", r.do("POST", "/v1/sandboxes", map[string]any{"template": "fake", "name": "twin"}), http.StatusCreated)
	}
	r.want("by the name of two", r.do("GET", "/v1/sandboxes/twin", nil), http.StatusConflict)
	r.want("by the name of none", r.do("GET", "/v1/sandboxes/single", nil), http.StatusNotFound)
}

// TestSocketOrigins: pages open WebSockets as they call other routes: those of
// origins that may, and the server's own.
func TestSocketOrigins(t *testing.T) {
	r := newRig(t)
	box := r.create()
	for origin, status := range map[string]int{
		"": http.StatusSwitchingProtocols, r.url: http.StatusSwitchingProtocols,
		"https://app.example.com": http.StatusSwitchingProtocols, "https://other.example.com": http.StatusForbidden,
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+box+"/exec/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Authorization": "Bearer " + r.ann, "Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket",
			"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
		} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("origin %q: %s, want %d", origin, resp.Status, status)
		}
	}
}

// TestSocketAudit: every program of a connection is in the audit log, at once.
func TestSocketAudit(t *testing.T) {
	w := newWatched(t)
	path := w.create()
	conn, _, err := websocket.Dial(t.Context(), w.url+path+"/exec/ws?access_token="+w.ann, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, m := range []string{`{"id":1,"cmd":"echo one"}`, `{"id":2,"cmd":"echo two"}`} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for exits := 0; exits < 2; {
		_, b, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), `"exit"`) {
			exits++
		}
	}
	var list []audit.Entry
	if err := json.Unmarshal(w.do("GET", "/v1/audit", nil).body, &list); err != nil {
		t.Fatal(err)
	}
	hashes := map[string]bool{}
	for _, e := range list {
		if strings.HasSuffix(e.Action, "/exec/ws") && e.ArgvSHA256 != "" && e.Owner == "ann" && e.Target != "" && e.RequestID != "" {
			hashes[e.ArgvSHA256] = true
		}
	}
	if len(hashes) != 2 {
		t.Errorf("%d programs in the audit log, want 2: %+v", len(hashes), list)
	}
}
