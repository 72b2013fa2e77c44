package client_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/httpapi"
)

// serve gives a client of a server over the fake host, on a unix socket.
func serve(t *testing.T) (*client.Client, *controltest.Rig) {
	t.Helper()
	r := controltest.New(t)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- httpapi.New(httpapi.Config{Sandboxes: r.Service}).Serve(ctx, []httpapi.Listener{{Listener: l, Trusted: true}}, 5*time.Second)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	c, err := client.New("unix://"+socket, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, r
}

func create(t *testing.T, c *client.Client) *client.Sandbox {
	t.Helper()
	sb, err := c.Sandboxes.Create(t.Context(), api.CreateRequest{Template: "fake", Metadata: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

func TestSandboxes(t *testing.T) {
	c, _ := serve(t)
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	sb := create(t, c)
	if sb.Info.Status != api.StatusRunning || sb.Info.Metadata["k"] != "v" {
		t.Errorf("%+v", sb.Info)
	}
	res, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"exit", "4"}})
	if err != nil || res.ExitCode != 4 {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err = sb.Exec(t.Context(), api.ExecRequest{Cmd: "echo x\nhang", TimeoutSeconds: 0.05}); err != nil || !res.TimedOut || res.Stdout != "x\n" {
		t.Errorf("%+v, %v", res, err)
	}
	for _, do := range []func(context.Context) error{sb.Pause, sb.Resume, sb.Hibernate, sb.Wake} {
		if err := do(t.Context()); err != nil {
			t.Error(err)
		}
	}
	ttl := 90.0
	if l, err := sb.SetLifecycle(t.Context(), api.LifecycleChange{TTLSeconds: &ttl}); err != nil || l.TTLSeconds != 90 {
		t.Errorf("%+v, %v", l, err)
	}
	m, err := sb.Snapshot(t.Context(), "s", 0)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := c.Snapshots.List(t.Context(), sb.ID); err != nil || len(list) != 1 || list[0].ID != m.ID {
		t.Errorf("%+v, %v", list, err)
	}
	if err := c.Snapshots.Delete(t.Context(), m.ID); err != nil {
		t.Error(err)
	}
	forked, err := sb.Fork(t.Context(), api.ForkRequest{Count: 2})
	if err != nil || len(forked.Children) != 2 {
		t.Fatalf("%+v, %v", forked, err)
	}
	if res, err := c.Sandboxes.Open(forked.Children[0].ID).Promote(t.Context()); err != nil || len(res.Deleted) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	var said strings.Builder
	cell, err := sb.RunCode(t.Context(), api.CodeRequest{Code: "set x 1"}, func(e api.CodeEvent) { said.WriteString(e.Stdout) })
	if err != nil || cell.Stdout != "kept\n" || said.String() != "kept\n" {
		t.Errorf("%+v, %q, %v", cell, said.String(), err)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events, err := sb.Events(t.Context(), 1); err != nil || len(events) != 1 || events[0].Type != "ended" {
		t.Errorf("%+v, %v", events, err)
	}
}

// TestErrors: the code and the fix of the server arrive.
func TestErrors(t *testing.T) {
	c, _ := serve(t)
	gone := c.Sandboxes.Open("nope")
	_, execErr := gone.Exec(t.Context(), api.ExecRequest{Cmd: "true"})
	_, runErr := gone.Run(t.Context(), api.ExecRequest{Cmd: "true"}, client.Stdio{})
	_, readErr := gone.Files.Read(t.Context(), "/x")
	_, codeErr := gone.RunCode(t.Context(), api.CodeRequest{Code: "x"}, func(api.CodeEvent) {})
	for name, err := range map[string]error{"exec": execErr, "run": runErr, "read": readErr, "code": codeErr, "delete": gone.Delete(t.Context())} {
		if api.CodeOf(err) != api.CodeNotFound || api.FixOf(err) == "" {
			t.Errorf("%s: %v (fix %q)", name, err, api.FixOf(err))
		}
	}
	sb := create(t, c)
	_, err := sb.Run(t.Context(), api.ExecRequest{}, client.Stdio{})
	if api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("no program: %v", err)
	}
	nobody, err := client.New(filepath.Join(t.TempDir(), "nobody"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Ready(t.Context()); api.CodeOf(err) != api.CodeUnavailable || api.FixOf(err) == "" {
		t.Errorf("nobody listens: %v", err)
	}
	for _, address := range []string{"", "ftp://x", "http://", "::"} {
		if _, err := client.New(address, ""); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%q: %v", address, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Ready(ctx); api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("a caller that gave up: %v", err)
	}
}

// TestRun passes many times the window through a program and back.
func TestRun(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	data := make([]byte, 3<<20+17)
	rand.Read(data)
	got := sha256.New()
	res, err := sb.Run(t.Context(), api.ExecRequest{Argv: []string{"cat"}}, client.Stdio{Stdin: bytes.NewReader(data), Stdout: got})
	if want := sha256.Sum256(data); err != nil || res.ExitCode != 0 || !bytes.Equal(got.Sum(nil), want[:]) {
		t.Errorf("%+v, %v: what came back differs", res, err)
	}
	var stdout, stderr bytes.Buffer
	res, err = sb.Run(t.Context(), api.ExecRequest{Cmd: "stdout $\"\\xff\\x00\"\nstderr err\nexit 9"}, client.Stdio{Stdout: &stdout, Stderr: &stderr})
	if err != nil || res.ExitCode != 9 || stdout.String() != "\xff\x00" || stderr.String() != "err\n" {
		t.Errorf("%+v, %v, %q, %q", res, err, stdout.String(), stderr.String())
	}
	// A program that does not read ends, although there is more to send.
	if res, err := sb.Run(t.Context(), api.ExecRequest{Argv: []string{"true"}}, client.Stdio{Stdin: bytes.NewReader(data)}); err != nil || res.ExitCode != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	signals := make(chan string, 1)
	signals <- "KILL"
	if res, err := sb.Run(t.Context(), api.ExecRequest{Argv: []string{"hang"}}, client.Stdio{Signals: signals}); err != nil || res.ExitCode != 137 {
		t.Errorf("%+v, %v", res, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestRunEndsWithItsCaller: who goes away takes the program along.
func TestRunEndsWithItsCaller(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := sb.Run(ctx, api.ExecRequest{Cmd: "echo started\nhang"}, client.Stdio{Stdout: writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })})
	if api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("%v", err)
	}
	full := errors.New("full")
	_, err = sb.Run(t.Context(), api.ExecRequest{Argv: []string{"flood"}}, client.Stdio{Stdout: writerFunc(func([]byte) (int, error) { return 0, full })})
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	controltest.Eventually(t, "the programs end", func() bool {
		st, err := sb.Stats(t.Context())
		return err == nil && st.Processes == 0
	})
}

func TestFiles(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	data := make([]byte, 1<<20+3)
	rand.Read(data)
	if err := sb.Files.Write(t.Context(), "/work/d/b c", 0o644, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if got, err := sb.Files.Read(t.Context(), "/work/d/b c"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	part, err := sb.Files.Open(t.Context(), "/work/d/b c", 10, 5)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(part)
	if part.Close(); err != nil || !bytes.Equal(got, data[10:15]) {
		t.Errorf("%x, %v", got, err)
	}
	if list, err := sb.Files.List(t.Context(), "/work/d"); err != nil || len(list) != 1 || list[0].Size != int64(len(data)) {
		t.Errorf("%+v, %v", list, err)
	}
	if err := sb.Files.Rename(t.Context(), "/work/d/b c", "/work/d/e"); err != nil {
		t.Error(err)
	}
	if _, err := sb.Files.Stat(t.Context(), "/work/d/b c"); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("%v", err)
	}
	if err := sb.Files.Remove(t.Context(), "/work/d"); err != nil {
		t.Error(err)
	}
}

func TestTar(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	var in bytes.Buffer
	w := tar.NewWriter(&in)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "sub/", Mode: 0o755}, {Typeflag: tar.TypeReg, Name: "sub/a", Mode: 0o755, Size: 3},
		{Typeflag: tar.TypeReg, Name: "./b", Mode: 0o644}, {Typeflag: tar.TypeSymlink, Name: "l", Linkname: "sub/a"},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			io.WriteString(w, "abc")
		}
	}
	w.Close()
	if err := sb.Files.Untar(t.Context(), "/work/in", &in); err != nil {
		t.Fatal(err)
	}
	out, err := sb.Files.Tar(t.Context(), "/work/in")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	seen := map[string]string{}
	for r := tar.NewReader(out); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r)
		seen[h.Name] = string(h.Typeflag) + h.Linkname + string(b)
	}
	if len(seen) != 4 || seen["sub/a"] != "0abc" || seen["sub/"] != "5" || seen["b"] != "0" || seen["l"] != "2sub/a" {
		t.Errorf("%v", seen)
	}
	for name, h := range map[string]tar.Header{
		"out": {Typeflag: tar.TypeReg, Name: "../x"}, "absolute": {Typeflag: tar.TypeReg, Name: "/etc/x"}, "device": {Typeflag: tar.TypeChar, Name: "d"},
		"deep out": {Typeflag: tar.TypeReg, Name: "a/../../x"}, "hard link": {Typeflag: tar.TypeLink, Name: "h", Linkname: "b"},
	} {
		var bad bytes.Buffer
		w := tar.NewWriter(&bad)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if err := sb.Files.Untar(t.Context(), "/work/bad", &bad); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := sb.Files.Untar(t.Context(), "/work/bad", strings.NewReader("no archive, but longer than one block: "+strings.Repeat("x", 600))); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("no archive: %v", err)
	}
}

func TestProcess(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	p, err := sb.Start(t.Context(), api.ExecRequest{Argv: []string{"cat"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one ", "two"} {
		if err := p.Write(t.Context(), strings.NewReader(text), text == "two"); err != nil {
			t.Fatal(err)
		}
	}
	if res, err := p.Wait(t.Context()); err != nil || res.ExitCode != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	var out bytes.Buffer
	if next, lost, err := p.Follow(t.Context(), 4, &out, nil); err != nil || next != 7 || lost != 0 || out.String() != "two" {
		t.Errorf("%d, %d, %v, %q", next, lost, err, out.String())
	}
	hang, err := sb.Start(t.Context(), api.ExecRequest{Argv: []string{"hang"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := hang.Signal(t.Context(), "KILL", true); err != nil {
		t.Fatal(err)
	}
	if res, err := hang.Wait(t.Context()); err != nil || res.Signal != "SIGKILL" {
		t.Errorf("%+v, %v", res, err)
	}
	if list, err := sb.Processes(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestBrokenServer: a server that talks nonsense is an error, never a result.
func TestBrokenServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{
		"/v1/sandboxes/json": "{", "/v1/sandboxes/html": "<html>",
		"/v1/sandboxes/s/exec": "{", "/v1/sandboxes/s/code": "event: event\ndata: {}\n\n",
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answers[r.URL.Path]) })}
	go server.Serve(l)
	defer server.Close()
	c, err := client.New("http://"+l.Addr().String()+"/v1", "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"json", "html"} {
		if _, err := c.Sandboxes.Get(t.Context(), id); api.CodeOf(err) != api.CodeUnavailable {
			t.Errorf("%s: %v", id, err)
		}
	}
	sb := c.Sandboxes.Open("s")
	if _, err := sb.Exec(t.Context(), api.ExecRequest{Cmd: "x"}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("exec: %v", err)
	}
	if _, err := sb.RunCode(t.Context(), api.CodeRequest{Code: "x"}, func(api.CodeEvent) {}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("a stream without an end: %v", err)
	}
}
