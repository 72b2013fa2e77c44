package e2e

import (
	"bufio"
	"context"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is a running `brig serve` with a state of its own.
type server struct {
	url string
	key string // works as long as the test
}

// env are the variables by which Brig's own clients find it.
func (s server) env() []string { return []string{"BRIG_API=" + s.url, "BRIG_API_KEY=" + s.key} }

// service starts a server on a free port, with a key in the style that a client
// wants ("" is Brig's own), and ends both with the test.
func service(t *testing.T, style string, flags ...string) server {
	t.Helper()
	needPython(t)
	state := t.TempDir()
	t.Setenv("BRIG_STATE", state)
	create := []string{"key", "create", "--label", "e2e", "--ttl", "1h"}
	if style != "" {
		create = append(create, "--style", style)
	}
	s := server{key: ok(t, create...)}
	t.Cleanup(func() {
		if out, err := brig(context.Background(), "key", "revoke", s.key[:11]).CombinedOutput(); err != nil {
			t.Errorf("revoke: %v: %s", err, out)
		}
	})
	cmd := brig(context.Background(), append([]string{"serve", "--listen", "127.0.0.1:0", "--socket", state + "/s"}, flags...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for s.url == "" && lines.Scan() {
		if _, at, found := strings.Cut(lines.Text(), "serves at http"); found {
			s.url = "http" + at
		}
	}
	rest := make(chan struct{})
	go func() { defer close(rest); io.Copy(io.Discard, stdout) }()
	t.Cleanup(func() {
		kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Process.Signal(syscall.SIGTERM)
		<-rest
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v: %s", err, log.String())
		}
		if t.Failed() {
			t.Logf("the server said: %s", log.String())
		}
	})
	if s.url == "" {
		t.Fatal("the server did not start")
	}
	return s
}
