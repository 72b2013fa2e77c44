package envd_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/e2b/envd"
)

// object is JSON of any shape.
type object = map[string]any

// rig is one sandbox over the fake driver, and a server that speaks for it.
type rig struct {
	t   *testing.T
	sb  *control.Sandbox
	url string
}

func newRig(t *testing.T) rig {
	t.Helper()
	sandboxes := controltest.New(t)
	sb, err := sandboxes.Create(t.Context(), "ann", api.CreateRequest{
		Template: "fake", Env: map[string]string{"GIVEN": "yes"}, Limits: api.Resources{DiskBytes: 16 << 20},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	s := envd.New(envd.Config{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r, sb) }))
	t.Cleanup(func() {
		front.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := rig{t, sb, front.URL}
	r.call("filesystem.Filesystem/MakeDir", object{"path": "/home/user"}, http.StatusOK)
	return r
}

// send makes a request; header is pairs.
func (r rig) send(ctx context.Context, method, path string, body io.Reader, header ...string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (r rig) body(resp *http.Response) string {
	r.t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// call is a unary call; it wants a status and gives the answer.
func (r rig) call(method string, req any, status int, header ...string) object {
	r.t.Helper()
	b, err := json.Marshal(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp := r.send(r.t.Context(), "POST", "/"+method, bytes.NewReader(b), append([]string{"Content-Type", "application/json"}, header...)...)
	text := r.body(resp)
	got := object{}
	if err := json.Unmarshal([]byte(text), &got); err != nil || resp.StatusCode != status {
		r.t.Fatalf("%s %s: status %d, want %d: %s", method, b, resp.StatusCode, status, text)
	}
	return got
}

func frame(v any) []byte {
	b, _ := json.Marshal(v)
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

// conversation is a server's stream.
type conversation struct {
	t    *testing.T
	body io.Reader
}

func (r rig) stream(ctx context.Context, method string, req any, header ...string) conversation {
	r.t.Helper()
	resp := r.send(ctx, "POST", "/"+method, bytes.NewReader(frame(req)), append([]string{"Content-Type", "application/connect+json"}, header...)...)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/connect+json" {
		r.t.Fatalf("%s: status %d, %s", method, resp.StatusCode, r.body(resp))
	}
	return conversation{r.t, resp.Body}
}

// next is the next message; last tells that it ends the stream.
func (c conversation) next() (msg object, last bool) {
	c.t.Helper()
	head := make([]byte, 5)
	if _, err := io.ReadFull(c.body, head); err != nil {
		c.t.Fatalf("the stream broke off: %v", err)
	}
	b := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(c.body, b); err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal(b, &msg); err != nil {
		c.t.Fatalf("%v in %q", err, b)
	}
	return msg, head[0] == 2
}

// started reads the start event and gives the pid.
func (c conversation) started() float64 {
	c.t.Helper()
	msg, _ := c.next()
	start, ok := msg["event"].(object)["start"].(object)
	if !ok {
		c.t.Fatalf("the first message is %v", msg)
	}
	return start["pid"].(float64)
}

// rest is what a process's stream says to its end.
type rest struct {
	out map[string]string // by stream
	end object            // the end event, or nil
	err string            // the code of the stream's own error
}

func (c conversation) rest() rest {
	c.t.Helper()
	r := rest{out: map[string]string{}}
	for {
		msg, last := c.next()
		if last {
			if e, ok := msg["error"].(object); ok {
				r.err = e["code"].(string)
			}
			return r
		}
		e := msg["event"].(object)
		if end, ok := e["end"].(object); ok {
			r.end = end
		}
		data, _ := e["data"].(object)
		for stream, v := range data {
			b, err := base64.StdEncoding.DecodeString(v.(string))
			if err != nil {
				c.t.Fatal(err)
			}
			r.out[stream] += string(b)
		}
	}
}

// script is a request for a program of the fake driver.
func script(lines ...string) object {
	return object{"process": object{"cmd": "sh", "args": []string{"-c", strings.Join(lines, "\n")}}, "stdin": false}
}

func with(o object, key string, v any) object {
	o = maps.Clone(o)
	o[key] = v
	return o
}

func TestPlainRoutes(t *testing.T) {
	r := newRig(t)
	if resp := r.send(t.Context(), "GET", "/health", nil); resp.StatusCode != http.StatusNoContent {
		t.Errorf("health: %d", resp.StatusCode)
	}
	if got := r.body(r.send(t.Context(), "GET", "/envs", nil)); got != "{\"GIVEN\":\"yes\"}\n" {
		t.Errorf("envs: %s", got)
	}
	var m struct {
		CPUs   int   `json:"cpu_count"`
		Memory int64 `json:"mem_total"`
	}
	if err := json.Unmarshal([]byte(r.body(r.send(t.Context(), "GET", "/metrics", nil))), &m); err != nil || m.CPUs != 1 || m.Memory != 512<<20 {
		t.Errorf("metrics: %+v, %v", m, err)
	}
	for _, path := range []string{"/init", "/upgrade", "/freeze", "/", "/files/..", "/process.Process/Nothing"} {
		if resp := r.send(t.Context(), "POST", path, strings.NewReader("{}")); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
}

func TestBadCalls(t *testing.T) {
	r := newRig(t)
	const unary, stream = "/process.Process/List", "/process.Process/Start"
	huge := bytes.Repeat([]byte(" "), 17<<20)
	for name, tt := range map[string]struct {
		path, kind string
		body       []byte
		status     int
		code       string
	}{
		"no JSON":               {unary, "application/json", []byte("{"), 400, "invalid_argument"},
		"another shape":         {unary, "application/json", []byte("[1]"), 400, "invalid_argument"},
		"protocol buffers":      {unary, "application/proto", nil, 415, "unimplemented"},
		"no type":               {unary, "", []byte("{}"), 415, "unimplemented"},
		"too large":             {unary, "application/json", huge, 429, "resource_exhausted"},
		"stream as unary":       {stream, "application/json", []byte("{}"), 415, "unimplemented"},
		"no frame":              {stream, "application/connect+json", nil, 200, "invalid_argument"},
		"half a frame":          {stream, "application/connect+json", frame(object{})[:4], 200, "invalid_argument"},
		"a frame that lies":     {stream, "application/connect+json", []byte{0, 255, 255, 255, 255, '{', '}'}, 200, "invalid_argument"},
		"two frames":            {stream, "application/connect+json", append(frame(object{}), frame(object{})...), 200, "invalid_argument"},
		"a compressed frame":    {stream, "application/connect+json", append([]byte{1}, frame(object{})[1:]...), 200, "invalid_argument"},
		"a frame of nonsense":   {stream, "application/connect+json", []byte{0, 0, 0, 0, 1, '?'}, 200, "invalid_argument"},
		"a stream that is huge": {stream, "application/connect+json", huge, 200, "resource_exhausted"},
		"a client's stream":     {"/process.Process/StreamInput", "application/connect+json", frame(object{}), 501, "unimplemented"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := r.send(t.Context(), "POST", tt.path, bytes.NewReader(tt.body), "Content-Type", tt.kind)
			text := r.body(resp)
			if resp.StatusCode != tt.status || !strings.Contains(text, `"code":"`+tt.code+`"`) {
				t.Errorf("status %d, %q; want %d, %s", resp.StatusCode, text, tt.status, tt.code)
			}
		})
	}
}

func TestCompressedCalls(t *testing.T) {
	r := newRig(t)
	bomb := strings.Repeat(" ", 17<<20)
	for name, tt := range map[string]struct {
		encoding string
		body     io.Reader
		status   int
	}{
		"identity":      {"identity", strings.NewReader("{}"), 200},
		"gzip":          {"gzip", zipped("{}"), 200},
		"gzip it isn't": {"gzip", strings.NewReader("{}"), 400},
		"a bomb":        {"gzip", zipped(bomb), 429},
		"brotli":        {"br", strings.NewReader("{}"), 400},
	} {
		resp := r.send(t.Context(), "POST", "/process.Process/List", tt.body, "Content-Type", "application/json", "Content-Encoding", tt.encoding)
		if text := r.body(resp); resp.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, resp.StatusCode, tt.status, text)
		}
	}
}

func TestEndedSandbox(t *testing.T) {
	r := newRig(t)
	running := r.stream(t.Context(), "process.Process/Start", script("stdout begun", "hang"))
	running.started()
	running.next() // its output
	if err := r.sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := running.rest(); got.err != "unavailable" {
		t.Errorf("a stream of a sandbox that was deleted ends with %+v", got)
	}
	got := r.call("filesystem.Filesystem/Stat", object{"path": "/"}, http.StatusServiceUnavailable)
	if got["code"] != "unavailable" {
		t.Errorf("stat: %v", got)
	}
	if resp := r.send(t.Context(), "GET", "/files?path=/x", nil); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("a file of a sandbox that was deleted: status %d", resp.StatusCode)
	}
}
