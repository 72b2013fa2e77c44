package control_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
)

// serve starts a program that echoes on a port, and returns when it listens.
func serve(t *testing.T, sb *control.Sandbox, port int) {
	t.Helper()
	if _, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"listen", "8080"}}, false); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := sb.Dial(t.Context(), port)
		if err == nil {
			c.Close()
			return
		}
		if api.CodeOf(err) != api.CodeUnavailable {
			t.Fatal(err)
		}
	}
}

// TestDial: a connection is a use of the sandbox until it is closed, wakes one that
// hibernates, and ends with it.
func TestDial(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	serve(t, sb, 8080)
	if err := sb.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	serveAgain := func() io.ReadWriteCloser {
		for {
			c, err := sb.Dial(t.Context(), 8080)
			if err == nil {
				return c
			}
			if api.CodeOf(err) != api.CodeUnavailable {
				t.Fatal(err)
			}
		}
	}
	c := serveAgain()
	if sb.Info().Status != api.StatusRunning {
		t.Errorf("it was used and is %s", sb.Info().Status)
	}
	if l := sb.Lifecycle(); l.IdleSeconds != 0 {
		t.Errorf("it is in use, and idle for %g s", l.IdleSeconds)
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Error(err)
	}
	heard := make([]byte, 5)
	if _, err := io.ReadFull(c, heard); err != nil || string(heard) != "hello" {
		t.Errorf("heard %q, %v", heard, err)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(heard); err == nil {
		t.Error("the sandbox is gone and its connection lives")
	}
	c.Close()
	_, err := sb.Dial(t.Context(), 8080)
	wantCode(t, "connect to a sandbox that has ended", err, api.CodeNotFound)
}

func TestPorts(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	serve(t, sb, 8080)
	for _, p := range []api.Port{{Port: 3000, Label: "web"}, {Port: 8080, Label: "echo", Public: true}, {Port: 3000, Label: "site"}} {
		if _, err := sb.NamePort(p); err != nil {
			t.Fatal(err)
		}
	}
	list, err := sb.Ports(t.Context())
	want := []api.Port{
		{Port: 3000, Label: "site", Source: "user"},
		{Port: 8080, Label: "echo", Public: true, Listening: true, Source: "user"},
	}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("ports %+v, %v", list, err)
	}
	if !sb.PortIsPublic(8080) || sb.PortIsPublic(3000) {
		t.Error("the wrong port is public")
	}
	r.Restart()
	sb, err = r.Find("ann", sb.ID())
	if err != nil {
		t.Fatal(err)
	}
	if list, err := sb.Ports(t.Context()); err != nil || len(list) != 2 || list[1].Listening {
		t.Errorf("of one that has ended: %+v, %v", list, err)
	}
	for what, err := range map[string]error{
		"no port":      errOf(create(t, r).NamePort(api.Port{Port: 0})),
		"ssh":          errOf(create(t, r).NamePort(api.Port{Port: 22})),
		"a long label": errOf(create(t, r).NamePort(api.Port{Port: 80, Label: strings.Repeat("x", 500)})),
	} {
		wantCode(t, what, err, api.CodeInvalid)
	}
	wantCode(t, "remove what was not named", create(t, r).UnnamePort(80), api.CodeNotFound)
}

func errOf[T any](_ T, err error) error { return err }

func TestPreviewTokens(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	p, err := sb.Preview(api.PreviewRequest{Port: 8080, TTLSeconds: 60, Paths: []string{"/docs/*", "/img"}})
	if err != nil {
		t.Fatal(err)
	}
	for path, admitted := range map[string]bool{
		"/docs": true, "/docs/a/b": true, "/img/x.png": true, "docs/x": true,
		"/": false, "/docsx": false, "/docs/../admin": false, "/imgs": false,
	} {
		got, port, err := r.OpenPreview(p.Token, path)
		if admitted != (err == nil) || admitted && (got != sb || port != 8080) {
			t.Errorf("%s: port %d, %v; want %v", path, port, err, admitted)
		}
	}
	other, err := create(t, r).Preview(api.PreviewRequest{Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	body, mac, _ := strings.Cut(p.Token, ".")
	_, otherMac, _ := strings.Cut(other.Token, ".")
	for _, token := range []string{"", ".", body, body + ".", "x" + p.Token, p.Token + "x", body + "." + otherMac, "e30." + mac, strings.Repeat("x", 100_000)} {
		_, _, err := r.OpenPreview(token, "/docs")
		wantCode(t, "a token that is none", err, api.CodeNotFound)
	}
	for what, req := range map[string]api.PreviewRequest{
		"no port": {Port: 70000}, "too long": {Port: 1, TTLSeconds: 8 * 86400}, "too short": {Port: 1, TTLSeconds: -1},
		"a relative path": {Port: 1, Paths: []string{"docs"}}, "many paths": {Port: 1, Paths: make([]string, 17)},
	} {
		_, err := sb.Preview(req)
		wantCode(t, what, err, api.CodeInvalid)
	}
	if _, err := sb.Fork(t.Context(), api.ForkRequest{Count: 1}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := r.OpenPreview(p.Token, "/docs"); err != nil || got != sb {
		t.Errorf("after a fork the token is another's: %v", err)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, err = r.OpenPreview(p.Token, "/docs")
	wantCode(t, "a token of a sandbox that has ended", err, api.CodeNotFound)
}

// TestWatch: a watch is a use of its sandbox, and ends with it.
func TestWatch(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	ready, told := make(chan struct{}), make(chan api.FileChange, 10)
	ended := make(chan error, 1)
	go func() {
		ended <- sb.Watch(context.Background(), "/work", false, func() { close(ready) }, func(c api.FileChange) error {
			told <- c
			return nil
		})
	}()
	<-ready
	exec(t, sb, "write", "new", "x")
	if c := <-told; c != (api.FileChange{Op: api.FileCreate, Name: "new"}) {
		t.Errorf("told of %+v", c)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a watch of a sandbox that has ended", <-ended, api.CodeNotFound)
}
