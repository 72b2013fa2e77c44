package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/httpapi"
)

// shaky carries requests to a server, and breaks every stream off after some bytes.
type shaky struct {
	host  string
	after int
	cuts  atomic.Int64
}

func (s *shaky) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = s.host
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/exec/stream") {
		resp.Body = &shortBody{ReadCloser: resp.Body, left: s.after, cut: func() { s.cuts.Add(1) }}
	}
	return resp, err
}

type shortBody struct {
	io.ReadCloser
	left int
	cut  func()
}

func (b *shortBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.cut()
		return 0, errors.New("the line is dead")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// TestStreamOverAShakyLine: connections that break again and again lose nothing and
// repeat nothing.
func TestStreamOverAShakyLine(t *testing.T) {
	r := controltest.New(t)
	service := httpapi.New(httpapi.Config{Sandboxes: r.Service})
	server := httptest.NewServer(service.Handler(true))
	t.Cleanup(func() { server.Close(); service.Close() })
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var script, want strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&script, "echo the linë with the number %d\n", i)
		fmt.Fprintf(&want, "the linë with the number %d\n", i)
	}
	line := &shaky{host: u.Host, after: 30_000}
	c := client.Through(line, "")
	sb := create(t, c)
	var stdout, stderr strings.Builder
	res, err := sb.Stream(t.Context(), api.ExecRequest{Cmd: script.String() + "stderr end\nexit 3"}, &stdout, &stderr)
	if err != nil || res.ExitCode != 3 || stderr.String() != "end\n" {
		t.Errorf("%+v, %v, stderr %q", res, err, stderr.String())
	}
	if stdout.String() != want.String() {
		t.Errorf("output of %d bytes, want %d", stdout.Len(), want.Len())
	}
	if line.cuts.Load() == 0 {
		t.Error("the line never broke: the test tests nothing")
	}
	line.after = 10
	if res, err := sb.Stream(t.Context(), api.ExecRequest{Cmd: "echo more than ten bytes\nhang"}, nil, nil); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("a line that is dead: %+v, %v", res, err)
	}
	line.after = 1 << 20
	if res, err := sb.Stream(t.Context(), api.ExecRequest{Cmd: "hang", TimeoutSeconds: 0.05}, nil, nil); err != nil || !res.TimedOut {
		t.Errorf("timeout: %+v, %v", res, err)
	}
	if _, err := client.Through(line, "").Sandboxes.Open("nope").Stream(t.Context(), api.ExecRequest{Cmd: "true"}, nil, nil); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("no sandbox: %v", err)
	}
}

// TestStreamGivenUp: a caller that goes away takes its program along, and does not
// leave it to the server to notice, later.
func TestStreamGivenUp(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	for name, w := range map[string]func(cancel func()) error{
		"cancelled":  func(cancel func()) error { cancel(); return nil },
		"bad writer": func(func()) error { return errors.New("the writer is full") },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := sb.Stream(ctx, api.ExecRequest{Cmd: "echo up\nhang"}, writer(func() error { return w(cancel) }), nil)
		cancel()
		if err == nil {
			t.Errorf("%s: it went on", name)
		}
	}
	list, err := sb.Processes(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Second) // the server would do so after 15
	defer cancel()
	for _, p := range list {
		if res, err := sb.Process(p.ID).Wait(soon); err != nil || res.Signal != "SIGKILL" {
			t.Errorf("%+v, %v", res, err)
		}
	}
}

// writer is called for each Write.
type writer func() error

func (w writer) Write(b []byte) (int, error) { return len(b), w() }

func TestFollowEvents(t *testing.T) {
	c, _ := serve(t)
	sb := create(t, c)
	var seen []string
	err := sb.FollowEvents(t.Context(), func(e api.Event) error {
		seen = append(seen, e.Type)
		if len(seen) == 1 {
			return sb.Delete(t.Context())
		}
		return nil
	})
	if err != nil || len(seen) < 2 || seen[0] != "created" || seen[len(seen)-1] != "ended" {
		t.Errorf("%v, %v", seen, err)
	}
}

func TestAll(t *testing.T) {
	c, _ := serve(t)
	for i := range 3 {
		if _, err := c.Sandboxes.Create(t.Context(), api.CreateRequest{Template: "fake", Name: fmt.Sprint(i), Metadata: map[string]string{"odd": fmt.Sprint(i%2 == 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	names := ""
	for sb, err := range c.Sandboxes.All(t.Context(), client.Filter{Metadata: map[string]string{"odd": "false"}}) {
		if err != nil {
			t.Fatal(err)
		}
		names += sb.Name
	}
	if names != "20" {
		t.Errorf("%q", names)
	}
	for _, err := range client.Through(&shaky{host: "127.0.0.1:1"}, "").Sandboxes.All(t.Context(), client.Filter{}) {
		if api.CodeOf(err) != api.CodeUnavailable {
			t.Errorf("no server: %v", err)
		}
	}
}

// TestStreamIsExact: what is no text arrives as it was printed.
func TestStreamIsExact(t *testing.T) {
	c, _ := serve(t)
	var stdout, stderr strings.Builder
	_, err := create(t, c).Stream(t.Context(), api.ExecRequest{Cmd: "stdout $\"a\\xff\\x00ë\"\nstderr $\"\\xfe\""}, &stdout, &stderr)
	if err != nil || stdout.String() != "a\xff\x00ë" || stderr.String() != "\xfe" {
		t.Errorf("stdout %q, stderr %q, %v", stdout.String(), stderr.String(), err)
	}
}
