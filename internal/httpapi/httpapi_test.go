package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/httpapi"
)

// rig is a server over the fake host, with a key for each of two owners.
type rig struct {
	*controltest.Rig
	url      string
	ann, bob string
	t        *testing.T
}

func newRig(t *testing.T) *rig {
	t.Helper()
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Rig: controltest.New(t), t: t}
	for owner, secret := range map[string]*string{"ann": &r.ann, "bob": &r.bob} {
		if _, *secret, err = keys.Mint("", owner, 0); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(httpapi.New(httpapi.Config{
		Sandboxes: r.Service, Keys: keys, Version: "test", Origins: []string{"https://app.example.com"},
		Templates: func(context.Context) ([]httpapi.Template, error) {
			return []httpapi.Template{{Name: "fake", Digest: "sha256:fake", Languages: []string{}}}, nil
		},
	}).Handler(false))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// reply is what a request got.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	return v
}

// do sends a request with ann's key; body is sent as it is when it is a string.
func (r *rig) do(method, path string, body any, header ...string) reply {
	r.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		in = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.ann)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, b}
}

func (r *rig) want(what string, got reply, status int) {
	r.t.Helper()
	if got.status != status {
		r.t.Errorf("%s: status %d, want %d: %s", what, got.status, status, got.body)
	}
}

// create makes a sandbox of ann's and gives the path of it.
func (r *rig) create() string {
	r.t.Helper()
	got := r.do("POST", "/v1/sandboxes", map[string]any{"template": "fake"})
	r.want("create", got, http.StatusCreated)
	return "/v1/sandboxes/" + got.json(r.t)["id"].(string)
}

func TestSandboxes(t *testing.T) {
	r := newRig(t)
	got := r.do("POST", "/v1/sandboxes", `{"template":"fake","cpu":4,"memory_mb":9,"unknown":1,"metadata":{"n":17,"f":1.5,"b":true,"s":"x","fork_tree_id":"mine"},"ttl_seconds":30}`)
	r.want("create", got, http.StatusCreated)
	sb := got.json(t)
	m := sb["metadata"].(map[string]any)
	if m["n"] != "17" || m["f"] != "1.5" || m["b"] != "true" || m["s"] != "x" || m["fork_tree_id"] != nil {
		t.Errorf("metadata %v", m)
	}
	if sb["status"] != "running" || sb["ttl_seconds"] != 30.0 || sb["memory_mb"] != 512.0 || sb["cpu"] != 1.0 || sb["boot_ms"] == nil {
		t.Errorf("created %v", sb)
	}
	path := "/v1/sandboxes/" + sb["id"].(string)
	for _, step := range []struct {
		method, path string
		status       int
	}{
		{"GET", path, 200}, {"GET", path + "/lifecycle", 200}, {"GET", path + "/stats", 200}, {"GET", path + "/logs", 200}, {"GET", path + "/events", 200},
		{"POST", path + "/pause", 204}, {"POST", path + "/exec", 400}, {"POST", path + "/resume", 204},
		{"POST", path + "/hibernate", 200}, {"POST", path + "/wake", 200}, {"POST", path + "/snapshots", 201}, {"POST", path + "/fork", 201},
		{"DELETE", path, 204}, {"GET", path + "/events", 200}, {"POST", path + "/pause", 404}, {"DELETE", "/v1/sandboxes/nope", 404},
	} {
		r.want(step.method+" "+step.path, r.do(step.method, step.path, nil, "Content-Type", "text/plain;charset=UTF-8"), step.status)
	}
	var list []map[string]any
	if err := json.Unmarshal(r.do("GET", "/v1/sandboxes", nil).body, &list); err != nil || len(list) != 1 {
		t.Errorf("list %v, %v", list, err)
	}
	if err := json.Unmarshal(r.do("GET", "/v1/sandboxes?status=deleted&metadata.n=17", nil).body, &list); err != nil || len(list) != 1 || list[0]["ended"] == nil {
		t.Errorf("list of the deleted %v, %v", list, err)
	}
}

func TestErrors(t *testing.T) {
	r := newRig(t)
	path := r.create()
	for _, tt := range []struct {
		name, method, path string
		body               any
		status             int
		code               string
	}{
		{"no route", "GET", "/v2/x", nil, 404, "not_found"},
		{"no such method", "PATCH", "/v1/sandboxes", nil, 405, "invalid"},
		{"not JSON", "POST", "/v1/sandboxes", "{", 400, "invalid"},
		{"wrong type", "POST", "/v1/sandboxes", `{"template":7}`, 400, "invalid"},
		{"no template", "POST", "/v1/sandboxes", `{"template":"nope"}`, 404, "not_found"},
		{"too large", "POST", "/v1/sandboxes", strings.Repeat(" ", 2<<20), 413, "invalid"},
		{"volumes", "POST", "/v1/sandboxes", `{"template":"fake","volumes":[{"name":"v"}]}`, 501, "unsupported"},
		{"egress", "POST", "/v1/sandboxes", `{"template":"fake","egress":{"mode":"much"}}`, 400, "invalid"},
		{"functions", "POST", "/v1/functions", `{}`, 501, "unsupported"},
		{"a function", "GET", "/v1/functions/f1", nil, 501, "unsupported"},
		{"language server", "GET", path + "/lsp/python", nil, 501, "unsupported"},
		{"relative path", "GET", path + "/fs?path=a", nil, 400, "invalid"},
		{"no file", "GET", path + "/fs?path=/nope", nil, 404, "not_found"},
		{"bad signal", "POST", path + "/processes/p/signal", `{"signal":"NOPE"}`, 400, "invalid"},
		{"no process", "GET", path + "/processes/p/output", nil, 404, "not_found"},
		{"promote", "POST", path + "/promote", nil, 409, "conflict"},
	} {
		got := r.do(tt.method, tt.path, tt.body, "X-Request-Id", "mine-1")
		r.want(tt.name, got, tt.status)
		body := got.json(t)
		if text, _ := body["error"].(string); text == "" || body["code"] != tt.code || body["request_id"] != "mine-1" {
			t.Errorf("%s: %s", tt.name, got.body)
		}
	}
	if id := r.do("GET", "/healthz", nil, "X-Request-Id", "a b").header.Get("X-Request-Id"); id == "a b" || id == "" {
		t.Errorf("request id %q", id)
	}
}

func TestExec(t *testing.T) {
	r := newRig(t)
	path := r.create()
	got := r.do("POST", path+"/exec", map[string]any{"cmd": "echo hi\nexit 3"}).json(t)
	if got["stdout"] != "hi\n" || got["exit_code"] != 3.0 || got["verdict"] != "nonzero" {
		t.Errorf("%v", got)
	}
	late := r.do("POST", path+"/exec", map[string]any{"cmd": "echo part\nhang", "timeout_seconds": 0.05})
	r.want("timeout", late, http.StatusGatewayTimeout)
	body := late.json(t)
	if body["stdout"] != "part\n" || body["exit_code"] != 124.0 || body["timed_out"] != true || !strings.Contains(body["error"].(string), "timeout") {
		t.Errorf("%v", body)
	}
	r.want("timeout as a result", r.do("POST", path+"/exec", map[string]any{"cmd": "hang", "timeout_seconds": 0.05, "on_timeout": "result"}), http.StatusOK)
	if got := r.do("POST", path+"/exec", map[string]any{"cmd": "cat", "stdin": "in"}).json(t); got["stdout"] != "in" {
		t.Errorf("%v", got)
	}
}

// TestStream wants the framing that published clients split by: LF only, a blank
// line behind every event, exit or error last.
func TestStream(t *testing.T) {
	r := newRig(t)
	path := r.create()
	got := r.do("POST", path+"/exec/stream", map[string]any{"cmd": "stdout $\"a\\xc3\"\nstdout $\"\\xa9\\xff\"\nstderr e\nexit 2"})
	text := string(got.body)
	if strings.Contains(text, "\r") || !strings.HasSuffix(text, "\n\n") {
		t.Errorf("framing: %q", text)
	}
	var out, last string
	for event := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		_, event, _ = strings.Cut(event, "\n") // its id
		name, data, _ := strings.Cut(event, "\n")
		var v map[string]any
		if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &v); err != nil {
			t.Fatalf("%v in %q", err, event)
		}
		if last = name; name == "event: stdout" {
			out += v["chunk"].(string)
		}
		if name == "event: exit" && v["exit_code"] != 2.0 {
			t.Errorf("exit %v", v)
		}
	}
	if out != "aé\uFFFD" || last != "event: exit" {
		t.Errorf("stdout %q, last event %q", out, last)
	}
	late := string(r.do("POST", path+"/exec/stream", map[string]any{"cmd": "hang", "timeout_seconds": 0.05}).body)
	if !strings.Contains(late, "event: error\n") || !strings.Contains(late, "timeout") {
		t.Errorf("timeout: %q", late)
	}
}

func TestFiles(t *testing.T) {
	r := newRig(t)
	path := r.create()
	data := strings.Repeat("0123456789\x00\xff", 100_000)
	got := r.do("PUT", path+"/fs?path=/work/a/b%20%23%26%C3%A9.bin&mode=0755", data)
	r.want("put", got, 200)
	if n := got.json(t)["bytes"]; n != float64(len(data)) {
		t.Errorf("wrote %v", n)
	}
	file := path + "/fs?path=/work/a/b%20%23%26%C3%A9.bin"
	if got := r.do("GET", file, nil); string(got.body) != data || got.header.Get("Content-Length") != "1200000" {
		t.Errorf("read %d bytes, %v", len(got.body), got.header)
	}
	for header, want := range map[string]string{
		"bytes=0-3": data[:4], "bytes=1199990-": data[1199990:], "bytes=-5": data[len(data)-5:], "bytes=5-9999999": data[5:],
	} {
		got := r.do("GET", file, nil, "Range", header)
		if got.status != http.StatusPartialContent || string(got.body) != want {
			t.Errorf("%s: status %d, %d bytes", header, got.status, len(got.body))
		}
	}
	r.want("beyond the end", r.do("GET", file, nil, "Range", "bytes=1200000-"), 416)
	r.want("several ranges", r.do("GET", file, nil, "Range", "bytes=0-1,3-4"), 200)
	r.want("an empty file", r.do("PUT", path+"/fs?path=/work/empty", nil), 200)
	if got := r.do("GET", path+"/fs?path=/work/empty", nil); got.status != 200 || len(got.body) != 0 {
		t.Errorf("an empty file: %+v", got)
	}
	r.want("a directory", r.do("GET", path+"/fs?path=/work/a", nil), 400)
	if e := r.do("GET", path+"/fs/stat?path=/work/a", nil).json(t); e["is_dir"] != true || e["name"] != "a" {
		t.Errorf("stat: %v", e)
	}
	if d := r.do("GET", path+"/fs/dir?path=/work/a", nil).json(t)["entries"].([]any); len(d) != 1 || d[0].(map[string]any)["name"] != "b #&é.bin" {
		t.Errorf("dir: %v", d)
	}
	r.want("dir of nothing", r.do("GET", path+"/fs/dir?path=/nope", nil), 404)
	r.want("mkdir", r.do("POST", path+"/fs/dir?path=/work/new/deep", nil), 204)
	r.want("move", r.do("POST", path+"/fs/move?path=/work/empty&to=/work/new/moved", nil), 204)
	r.want("moved", r.do("GET", path+"/fs/stat?path=/work/new/moved", nil), 200)
	r.want("move to nowhere", r.do("POST", path+"/fs/move?path=/work/new/moved&to=/work/not/yet/there", nil), 204)
	r.want("move back", r.do("POST", path+"/fs/move?path=/work/not/yet/there&to=/work/new/moved", nil), 204)
	r.want("move nothing", r.do("POST", path+"/fs/move?path=/work/nothing&to=/work/never/there", nil), 404)
	r.want("no parent for nothing", r.do("GET", path+"/fs/stat?path=/work/never", nil), 404)
	r.want("remove", r.do("DELETE", path+"/fs?path=/work/new", nil), 204)
	r.want("removed", r.do("GET", path+"/fs/stat?path=/work/new/moved", nil), 404)
	r.want("remove /", r.do("DELETE", path+"/fs?path=/", nil), 400)
}

func TestForkShapes(t *testing.T) {
	r := newRig(t)
	path := r.create()
	got := r.do("POST", path+"/fork-tree", map[string]any{"count": 2, "metadata": map[string]any{"try": 1}})
	r.want("fork-tree", got, 201)
	body := got.json(t)
	children := body["children"].([]any)
	first := children[0].(map[string]any)
	if len(children) != 2 || body["tree_id"] == "" || first["metadata"].(map[string]any)["fork_tree_id"] != body["tree_id"] || first["metadata"].(map[string]any)["try"] != "1" {
		t.Errorf("%s", got.body)
	}
	one := r.do("POST", path+"/fork", nil)
	r.want("fork", one, 201)
	if sb := one.json(t)["sandbox"].(map[string]any); sb["status"] != "running" || sb["parent_id"] != strings.TrimPrefix(path, "/v1/sandboxes/") {
		t.Errorf("%v", sb)
	}
	won := r.do("POST", "/v1/sandboxes/"+first["id"].(string)+"/promote", map[string]any{"cleanup_siblings": true})
	r.want("promote", won, 200)
	if d := won.json(t)["deleted"].([]any); len(d) != 1 {
		t.Errorf("%s", won.body)
	}
}

func TestCells(t *testing.T) {
	r := newRig(t)
	path := r.create()
	s := r.do("POST", path+"/repl/sessions", map[string]any{"language": "py"})
	r.want("open", s, 201)
	id := s.json(t)["id"].(string)
	if s.json(t)["session_id"] != id || s.json(t)["language"] != "python" {
		t.Errorf("%s", s.body)
	}
	run := func(body map[string]any) reply { return r.do("POST", path+"/repl/sessions/"+id+"/run", body) }
	run(map[string]any{"code": "set x 5"})
	if got := run(map[string]any{"code": "get x"}).json(t); got["results"].([]any)[0].(map[string]any)["text/plain"] != "5" || got["exit"] != 0.0 || got["error"] != nil {
		t.Errorf("%v", got)
	}
	if got := run(map[string]any{"code": "raise"}).json(t); got["exit_code"] != 1.0 || !strings.Contains(got["stderr"].(string), "ValueError") {
		t.Errorf("%v", got)
	}
	late := run(map[string]any{"code": "hang", "timeout_ms": 10})
	if late.status != 504 || !strings.Contains(late.json(t)["error"].(string), "timeout") {
		t.Errorf("%d %s", late.status, late.body)
	}
	r.want("close", r.do("DELETE", path+"/repl/sessions/"+id, nil), 204)
	if got := r.do("POST", path+"/code", map[string]any{"code": "set y 1"}, "Accept", "text/event-stream"); !strings.HasSuffix(string(got.body), "\n\n") || !strings.Contains(string(got.body), "event: end\n") {
		t.Errorf("%s", got.body)
	}
	var last api.CodeExecution
	if err := json.Unmarshal(r.do("POST", path+"/code", map[string]any{"code": "get y"}).body, &last); err != nil || last.Results[0].Data["text/plain"] != "1" {
		t.Errorf("%+v, %v", last, err)
	}
}
