package client_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

func TestPorts(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	if _, err := sb.Dial(t.Context(), 7000); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("where nothing listens: %v", err)
	}
	if _, err := sb.Start(t.Context(), api.ExecRequest{Argv: []string{"listen", "7000"}}, false); err != nil {
		t.Fatal(err)
	}
	conn, err := sb.Dial(t.Context(), 7000)
	for api.CodeOf(err) == api.CodeUnavailable && err != nil { // until it listens
		conn, err = sb.Dial(t.Context(), 7000)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range []string{"hello ", "", "there"} {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); string(b) != "hello there" || err != nil {
		t.Errorf("heard %q, %v", b, err)
	}
	if p, err := sb.NamePort(t.Context(), api.Port{Port: 7000, Label: "echo"}); err != nil || p.ProxyURL == "" {
		t.Errorf("name a port: %+v, %v", p, err)
	}
	if list, err := sb.Ports(t.Context()); err != nil || len(list) != 1 || list[0].Label != "echo" || !list[0].Listening {
		t.Errorf("ports: %+v, %v", list, err)
	}
	if p, err := sb.Preview(t.Context(), api.PreviewRequest{Port: 7000}); err != nil || p.URL == "" || p.SandboxID != sb.ID {
		t.Errorf("preview: %+v, %v", p, err)
	}
	if err := sb.UnnamePort(t.Context(), 7000); err != nil {
		t.Error(err)
	}
}

func TestWatch(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	enough := errors.New("enough")
	var told api.FileChange
	err := sb.Files.Watch(t.Context(), "/work", false, func() { write(t, sb) }, func(change api.FileChange) error {
		told = change
		return enough
	})
	if !errors.Is(err, enough) || told != (api.FileChange{Op: api.FileCreate, Name: "new"}) {
		t.Errorf("told of %+v, and ended by %v", told, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = sb.Files.Watch(ctx, "/work", false, cancel, func(api.FileChange) error { return nil })
	if api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("a watch that was ended: %v", err)
	}
	if err := sb.Files.Watch(t.Context(), "/nowhere", false, nil, nil); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("watch what is not there: %v", err)
	}
}

// write makes /work/new from inside.
func write(t *testing.T, sb *client.Sandbox) {
	t.Helper()
	if res, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"write", "new", "x"}}); err != nil || res.ExitCode != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
