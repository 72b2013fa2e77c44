package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control/controltest"
)

// target is a server that is abused: a sandbox of ann's, her key, and what the
// server logs.
type target struct {
	server  *Server
	handler http.Handler
	id, key string
	log     *logBuffer
	wait    time.Duration // for an answer, then the caller gives up
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newTarget(t testing.TB) *target {
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := keys.Mint("", "ann", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := controltest.New(t)
	sb, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake", TTLSeconds: 7 * 24 * 3600}, "")
	if err != nil {
		t.Fatal(err)
	}
	x := &target{id: sb.ID(), key: key, log: &logBuffer{}, wait: 5 * time.Second}
	x.server = New(Config{Sandboxes: r.Service, Keys: keys, Log: slog.New(slog.NewTextHandler(x.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	t.Cleanup(func() {
		if err := x.server.Close(); err != nil {
			t.Error(err)
		}
	})
	x.handler = x.server.Handler(false)
	return x
}

// send makes one request, which is given up after a moment, and gives the answer.
func (x *target) send(method, target, body string, header http.Header) (*httptest.ResponseRecorder, error) {
	ctx, cancel := context.WithTimeout(context.Background(), x.wait)
	defer cancel()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, err
	}
	req := (&http.Request{Method: method, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "brig", RemoteAddr: "192.0.2.1:1", Header: header}).WithContext(ctx)
	req.Body, req.ContentLength = http.NoBody, int64(len(body))
	if body != "" {
		req.Body = readCloser{strings.NewReader(body)}
	}
	w := httptest.NewRecorder()
	hangs := time.AfterFunc(20*time.Second, func() { panic(fmt.Sprintf("%s %s with %q goes on although its caller has gone", method, target, body)) })
	defer hangs.Stop()
	func() {
		defer func() {
			if fault := recover(); fault != nil && fault != http.ErrAbortHandler { // a reply that was broken off
				panic(fault)
			}
		}()
		x.handler.ServeHTTP(w, req)
	}()
	return w, nil
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// check says what is wrong with an answer to whatever was asked.
func (x *target) check(w *httptest.ResponseRecorder) error {
	if log := x.log.String(); strings.Contains(log, "a handler failed") {
		return fmt.Errorf("a handler panicked: %s", log)
	}
	if w.Code == http.StatusInternalServerError {
		return fmt.Errorf("status 500: %s, log %s", w.Body, x.log)
	}
	if w.Code < 400 || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		return fmt.Errorf("status %d with %q: %w", w.Code, w.Body, err)
	}
	return nil
}

// FuzzRequests sends anything to any row of the table. Nothing may panic, nothing is
// our fault, and every error is an answer.
func FuzzRequests(f *testing.F) {
	x := newTarget(f)
	x.wait = 10 * time.Millisecond
	table := routes()
	for i := range table {
		f.Add(uint16(i), "work/a b", "path=/work/x&to=/work/y&offset=-1&mode=9", `{"cmd":"echo hi","code":"get x","count":-1,"ttl_seconds":1e300}`, "Range", "bytes=9-1")
	}
	for _, body := range []string{"", "null", "[]", `"x"`, "{", `{"cmd":1}`, `{"argv":[""],"env":{"":"x","a=b":"\u0000"}}`, `{"metadata":{"a":{"b":[1]}}}`, "\xff\xfe", `{"template":"../../etc"}`, `{"timeout_seconds":-1,"cmd":"x"}`} {
		f.Add(uint16(3), "..", "path=/../../etc/passwd", body, "Idempotency-Key", "\x00")
	}
	f.Fuzz(func(t *testing.T, row uint16, wild, query, body, name, value string) {
		pattern := table[int(row)%len(table)].pattern
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = http.MethodPost, pattern
		}
		if strings.Contains(path, "/promote") || method == http.MethodDelete && strings.HasSuffix(path, "/{id}") {
			wild = "x" // the sandbox is still needed
			path = strings.ReplaceAll(path, "{id}", "x")
		}
		path = wildcard.ReplaceAllString(strings.ReplaceAll(path, "{id}", x.id), url.PathEscape(wild))
		header := http.Header{"Authorization": {"Bearer " + x.key}}
		if name != "" {
			header[http.CanonicalHeaderKey(name)] = []string{value}
		}
		w, err := x.send(method, path+"?"+strings.ReplaceAll(query, "#", ""), body, header)
		if err != nil {
			return // no server would see it
		}
		if err := x.check(w); err != nil {
			t.Errorf("%s %s: %v", method, path, err)
		}
	})
}

// FuzzFrames sends any messages over each WebSocket.
func FuzzFrames(f *testing.F) {
	x := newTarget(f)
	web := httptest.NewServer(x.handler)
	f.Cleanup(web.Close)
	for i := range uint8(4) {
		f.Add(i, true, []byte(`{"cmd":"cat"}`), false, []byte("data"), true, []byte(`{"eof":true}`))
		f.Add(i, true, []byte(`{"argv":["hang"]}`), true, []byte(`{"signal":"KILL","tree":true}`), true, []byte(`{"resize":{"rows":-1,"cols":99999999}}`))
		f.Add(i, false, []byte{}, true, []byte("{"), true, []byte("null"))
		f.Add(i, true, []byte(`{"id":"a","cmd":"cat"}`), true, []byte(`{"id":"a","cancel":true}`), true, []byte(`{"stdin":"x"}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, text1 bool, m1 []byte, text2 bool, m2 []byte, text3 bool, m3 []byte) {
		path := []string{"/exec/raw", "/exec/pty", "/exec/ws", "/ssh"}[which%4]
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		c, _, err := websocket.Dial(ctx, web.URL+"/v1/sandboxes/"+x.id+path+"?access_token="+x.key, nil)
		if err != nil {
			return // it was too slow
		}
		defer c.CloseNow()
		for i, m := range [][]byte{m1, m2, m3} {
			kind := websocket.MessageBinary
			if []bool{text1, text2, text3}[i] {
				kind = websocket.MessageText
			}
			if c.Write(ctx, kind, m) != nil {
				break
			}
		}
		for {
			if _, _, err := c.Read(ctx); err != nil {
				break
			}
		}
		if log := x.log.String(); strings.Contains(log, "a handler failed") || strings.Contains(log, x.key) {
			t.Errorf("log: %s", log)
		}
	})
}

// TestPathTricks: a path names something inside its sandbox, or is refused.
func TestPathTricks(t *testing.T) {
	x := newTarget(t)
	header := http.Header{"Authorization": {"Bearer " + x.key}}
	box := "/v1/sandboxes/" + x.id
	for _, tt := range []struct {
		method, target string
		status         []int
	}{
		{"GET", box + "/fs?path=/../../../../etc/passwd", []int{404}},
		{"GET", box + "/fs?path=/work/../../../etc/passwd", []int{404}},
		{"GET", box + "/fs?path=..%2f..%2fetc%2fpasswd", []int{400}},
		{"GET", box + "/fs?path=/work/%00/etc/passwd", []int{400}},
		{"GET", box + "/fs?path=" + strings.Repeat("/x", 4000), []int{400}},
		{"GET", box + "/fs?path=", []int{400}},
		{"GET", box + "/fs?path=C:%5cx", []int{400}},
		{"PUT", box + "/fs?path=/", []int{400, 409}},
		{"PUT", box + "/fs?path=/work/x%00y", []int{400}},
		{"DELETE", box + "/fs?path=/.", []int{400}},
		{"DELETE", box + "/fs?path=/work/..", []int{400}},
		{"DELETE", box + "/fs?path=//", []int{400}},
		{"POST", box + "/fs/move?path=/work/x&to=../y", []int{400}},
		{"POST", box + "/fs/dir?path=x", []int{400}},
		{"GET", box + "/fs/tar?path=etc", []int{400}},
		{"GET", "/v1/sandboxes/..%2f..%2frecords%2f" + x.id, []int{404}},
		{"GET", "/v1/sandboxes/%2e%2e/" + x.id, []int{301, 307, 404}},
		{"GET", "/v1/sandboxes/" + x.id + "%00", []int{404}},
		{"GET", "/v1/sandboxes//fs?path=/x", []int{301, 307, 404}},
		{"GET", "/v1/snapshots/..%2f..%2f" + x.id, []int{404}},
		{"DELETE", "/v1/snapshots/%2e%2e%2f%2e%2e", []int{404}},
		{"GET", "/v1/templates/..%2f..%2fetc", []int{404}},
		{"GET", box + "/processes/..%2f..%2fx/output", []int{404}},
	} {
		w, err := x.send(tt.method, tt.target, "", header)
		if err != nil {
			t.Fatal(err)
		}
		ok := false
		for _, want := range tt.status {
			ok = ok || w.Code == want
		}
		if !ok || x.check(w) != nil {
			t.Errorf("%s %.120s: status %d, want %v: %.300s", tt.method, tt.target, w.Code, tt.status, w.Body)
		}
	}
}

// TestNothingSecretIsLogged sends a secret to every row in every place where one
// could be, and looks for it in the log and in answers to those who have no key.
func TestNothingSecretIsLogged(t *testing.T) {
	x := newTarget(t)
	x.wait = 100 * time.Millisecond // some routes stream until their caller goes
	const secret = "s3cret-0123456789"
	body := `{"template":"` + secret + `","cmd":"` + secret + `","code":"` + secret + `","stdin":"` + secret + `","env":{"A":"` + secret + `"},"metadata":{"a":"` + secret + `"},"label":"` + secret + `"}`
	for _, row := range routes() {
		method, path, found := strings.Cut(row.pattern, " ")
		if !found {
			method, path = http.MethodPost, row.pattern
		}
		if method == http.MethodDelete && strings.HasSuffix(path, "/{id}") {
			continue
		}
		path = wildcard.ReplaceAllString(strings.ReplaceAll(path, "{id}", x.id), secret)
		for _, key := range []string{"Bearer " + x.key, "Bearer " + secret, "Basic " + secret} {
			header := http.Header{"Authorization": {key}, "X-Api-Key": {secret}, "Cookie": {secret}, "X-Access-Token": {secret}}
			if _, err := x.send(method, path+"?path=/work/"+secret+"&access_token="+secret+"&signature="+secret, body, header); err != nil {
				t.Fatal(err)
			}
		}
	}
	log := x.log.String()
	if i := strings.Index(log, secret); i >= 0 {
		t.Errorf("it is in the log: %s", log[max(0, i-300):min(len(log), i+100)])
	}
	if strings.Contains(log, x.key) || strings.Contains(log, "a handler failed") {
		t.Errorf("a key, or a panic, is in the log: %s", log)
	}
}

// TestPanic: a handler that fails is an answer, and says nothing of why.
func TestPanic(t *testing.T) {
	x := newTarget(t)
	broken := x.server.observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			w.WriteHeader(http.StatusOK)
		}
		panic("in a handler")
	}), false)
	w := httptest.NewRecorder()
	broken.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "in a handler") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	defer func() {
		if fault := recover(); fault != http.ErrAbortHandler {
			t.Errorf("a reply that had begun ended with %v", fault)
		}
	}()
	broken.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/late", nil))
}
