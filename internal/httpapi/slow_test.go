package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
)

// listening is a server on a port, with a key and a sandbox of ann's.
type listening struct {
	address string
	key     string
	sandbox *control.Sandbox
	t       *testing.T
}

func listen(t *testing.T, p patience) *listening {
	t.Helper()
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	x := &listening{t: t}
	if _, x.key, err = keys.Mint("", "ann", 0); err != nil {
		t.Fatal(err)
	}
	r := controltest.New(t)
	if x.sandbox, err = r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, ""); err != nil {
		t.Fatal(err)
	}
	server := New(Config{Sandboxes: r.Service, Keys: keys, Log: slog.New(slog.DiscardHandler)})
	server.patience = p
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.address = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(ctx, []Listener{{Listener: l}}, 100*time.Millisecond); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		serving.Wait()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// dial connects and sends text as it is.
func (x *listening) dial(text string) net.Conn {
	x.t.Helper()
	c, err := net.Dial("tcp", x.address)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		x.t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		x.t.Fatal(err)
	}
	return c
}

// head is a request's beginning, with ann's key and a body of so many bytes.
func (x *listening) head(line string, length int) string {
	return fmt.Sprintf("%s HTTP/1.1\r\nHost: brig\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", line, x.key, length)
}

func (x *listening) path(rest string) string { return "/v1/sandboxes/" + x.sandbox.ID() + rest }

func status(t *testing.T, c net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// wantClosed reads until the server ends the connection.
func wantClosed(t *testing.T, what string, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Errorf("%s: the connection is still open", what)
	}
}

// TestSlowCallers: who stands still is sent away; who is slow and goes on is served.
func TestSlowCallers(t *testing.T) {
	x := listen(t, patience{header: time.Second, pause: time.Second, rest: 50 * time.Millisecond})
	wantClosed(t, "half a header", x.dial("GET /healthz HTTP/1.1\r\nHost: br"))
	wantClosed(t, "nothing", x.dial(""))

	still := x.dial(x.head("POST "+x.path("/exec"), 1000) + `{"cmd":`)
	if code := status(t, still); code != http.StatusRequestTimeout {
		t.Errorf("half a body: status %d", code)
	}
	wantClosed(t, "half a body", still)

	refused := x.dial("PUT " + x.path("/fs?path=/work/x") + " HTTP/1.1\r\nHost: brig\r\nContent-Length: 1000\r\n\r\nab")
	if code := status(t, refused); code != http.StatusUnauthorized {
		t.Errorf("half a body without a key: status %d", code)
	}
	wantClosed(t, "half a body without a key", refused)

	slow := x.dial(x.head("PUT "+x.path("/fs?path=/work/slow"), 10))
	for range 10 { // longer than a pause, in all
		time.Sleep(120 * time.Millisecond)
		if _, err := slow.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if code := status(t, slow); code != http.StatusOK {
		t.Errorf("a slow upload: status %d", code)
	}

	p, err := x.sandbox.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"cat"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	typed := x.dial(x.head("POST "+x.path("/processes/"+p.ID+"/stdin?eof=1"), 2) + "a")
	time.Sleep(1200 * time.Millisecond) // somebody thinks
	if _, err := typed.Write([]byte("b")); err != nil {
		t.Fatal(err)
	}
	if code := status(t, typed); code != http.StatusNoContent {
		t.Errorf("typing: status %d", code)
	}
}

// TestKeptConnections: a connection is used again after each kind of answer, the
// deadlines of one request do not reach the next, and it is still there after a
// pause.
func TestKeptConnections(t *testing.T) {
	x := listen(t, patience{header: time.Minute, pause: 100 * time.Millisecond, rest: 50 * time.Millisecond})
	c := x.dial("")
	in := bufio.NewReader(c)
	for _, step := range []struct {
		line, body string
		status     int
	}{
		{"POST " + x.path("/exec"), `{"cmd":"echo hi"}`, 200}, {"POST " + x.path("/exec"), `{`, 400},
		{"PUT " + x.path("/fs?path=/work/x"), "data", 200}, {"PUT " + x.path("/fs?path=x"), "data", 400}, {"GET /nope", "", 404},
	} {
		if _, err := io.WriteString(c, x.head(step.line, len(step.body))+step.body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", step.line, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != step.status {
			t.Errorf("%s: status %d, %v", step.line, resp.StatusCode, err)
		}
		time.Sleep(150 * time.Millisecond)
	}
}

// TestOversized: what is too large is refused without being read.
func TestOversized(t *testing.T) {
	x := listen(t, defaultPatience())
	long := strings.Repeat("x", 80<<10)
	for what, tt := range map[string]struct {
		text   string
		status int
	}{
		"a header":      {"GET /healthz HTTP/1.1\r\nHost: brig\r\nX-Long: " + long + "\r\n\r\n", 431},
		"many headers":  {"GET /healthz HTTP/1.1\r\nHost: brig\r\n" + strings.Repeat("X-A: b\r\n", 20_000) + "\r\n", 431},
		"a path":        {"GET /v1/sandboxes/" + long + " HTTP/1.1\r\nHost: brig\r\n\r\n", 431},
		"a body":        {x.head("POST /v1/sandboxes", 1<<40) + strings.Repeat(" ", 2<<20), 413},
		"a chunk":       {"POST /v1/sandboxes HTTP/1.1\r\nHost: brig\r\nAuthorization: Bearer " + x.key + "\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
		"two lengths":   {"POST /v1/sandboxes HTTP/1.1\r\nHost: brig\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		"both framings": {"POST /v1/sandboxes HTTP/1.1\r\nHost: brig\r\nContent-Length: 3\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		"no host":       {"GET /healthz HTTP/1.1\r\n\r\n", 400},
		"not HTTP":      {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400},
	} {
		c, err := net.Dial("tcp", x.address)
		if err != nil {
			t.Fatal(err)
		}
		var sent sync.WaitGroup
		sent.Go(func() { _, _ = io.WriteString(c, tt.text) }) // it may be cut off
		if code := status(t, c); code != tt.status {
			t.Errorf("%s: status %d, want %d", what, code, tt.status)
		}
		c.Close()
		sent.Wait()
	}
}

// TestSlowReaders: readers that take nothing of what programs print without end hold
// the programs back; the server does not keep it for them.
func TestSlowReaders(t *testing.T) {
	x := listen(t, defaultPatience())
	const readers, printed = 8, 64 << 20 // bytes of each program
	before := heap()
	for i := range readers {
		body := fmt.Sprintf(`{"cmd":"flood %d"}`, printed)
		if i%2 == 1 {
			body = fmt.Sprintf(`{"cmd":"flood %d","resume_seconds":1}`, printed)
		}
		c := x.dial(x.head("POST "+x.path("/exec/stream"), len(body)) + body)
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	most := int64(0)
	for range 20 { // while the programs print as fast as they may
		most = max(most, heap()-before)
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("at most %d bytes are kept for %d readers", most, readers)
	if most > readers*printed/4 {
		t.Errorf("the server keeps %d bytes for %d readers who read nothing", most, readers)
	}
	if code := status(t, x.dial(x.head("GET "+x.path(""), 0))); code != http.StatusOK {
		t.Errorf("beside them: status %d", code)
	}
}

// TestIdleConnections: many connections that wait cost little and hold nobody up.
// BRIG_SOAK=1 has 5,000.
func TestIdleConnections(t *testing.T) {
	n := 300
	if os.Getenv("BRIG_SOAK") != "" {
		n = 5000
	}
	x := listen(t, defaultPatience())
	before := heap()
	for range n {
		c := x.dial("GET /healthz HTTP/1.1\r\nHost: brig\r\n\r\n")
		if code := status(t, c); code != http.StatusOK {
			t.Fatalf("status %d", code)
		}
	}
	after := heap()
	if each := (after - before) / int64(n); each > 64<<10 { // both ends are in this process
		t.Errorf("an idle connection takes %d bytes", each)
	}
	if code := status(t, x.dial(x.head("GET "+x.path(""), 0))); code != http.StatusOK {
		t.Errorf("beside them: status %d", code)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
