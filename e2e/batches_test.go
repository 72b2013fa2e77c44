package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

// TestBatchServerKilled kills a server in the middle of a batch. The next one goes on
// with it, and the command that follows it does not notice more than a pause.
func TestBatchServerKilled(t *testing.T) {
	needPython(t)
	t.Setenv("BRIG_STATE", t.TempDir())
	dir := t.TempDir()
	items := make([]api.Item, 60)
	for i := range items {
		items[i] = api.Item{CustomID: fmt.Sprint("item-", i), Code: fmt.Sprintf("import json,time\ntime.sleep(0.1)\njson.dump(%d, open('/work/result.json','w'))", i)}
	}
	writeItems(t, filepath.Join(dir, "items.jsonl"), items)
	socket := filepath.Join(os.Getenv("BRIG_STATE"), "api.sock")
	server := startSocketServer(t, socket)

	t.Setenv("BRIG_API", socket)
	out := filepath.Join(dir, "out")
	follow := brig(t.Context(), "batch", "run", filepath.Join(dir, "items.jsonl"), "-o", out, "--artifacts", "none/*")
	var said bytes.Buffer
	follow.Stdout, follow.Stderr = &said, &said
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	batch := func() api.Batch {
		p, err := c.Batches.List(t.Context(), "", 1)
		if err != nil || len(p.Data) == 0 {
			return api.Batch{}
		}
		return p.Data[0]
	}
	await(t, "a few results", func() bool { return batch().RequestCounts.Completed >= 5 })
	before := batch()
	if err := server.kill(); err != nil {
		t.Fatal(err)
	}
	server = startSocketServer(t, socket)
	err = follow.Wait()
	if err != nil || !strings.Contains(said.String(), "finished: 60 of 60 items have a result, 60 ok") {
		t.Errorf("%v: %s", err, said.String())
	}
	results := readResults(t, out)
	for i := range items {
		if got := results[fmt.Sprint("item-", i)]; string(got.Result) != fmt.Sprint(i) || got.Isolation != api.RungGVisor {
			t.Errorf("item %d: %+v", i, got)
		}
	}
	if after := batch(); after.ID != before.ID || after.Status != api.BatchCompleted || after.RequestCounts.Completed != 60 {
		t.Errorf("%+v", after)
	}
	if err := server.end(); err != nil {
		t.Error(err)
	}
}

// socketServer is a server on a unix socket that a test may kill.
type socketServer struct {
	process *os.Process
	gone    chan error
}

func startSocketServer(t *testing.T, socket string) *socketServer {
	t.Helper()
	cmd := brig(context.Background(), "serve", "--listen", "", "--socket", socket)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &socketServer{process: cmd.Process, gone: make(chan error, 1)}
	go func() { s.gone <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.kill() // it is gone already, unless the test has failed
		if t.Failed() {
			t.Logf("a server said: %s", log.String())
		}
	})
	c, err := client.New(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	await(t, "the server answers", func() bool { return c.Ready(t.Context()) == nil })
	return s
}

func (s *socketServer) kill() error {
	err := s.process.Kill()
	if err == nil {
		<-s.gone
	}
	return err
}

func (s *socketServer) end() error {
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-s.gone
}

// await waits for something that happens by itself.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}

// TestBuildOverHTTP builds a template from files that are sent, runs it, and finds
// that it is nobody else's.
func TestBuildOverHTTP(t *testing.T) {
	s := service(t, "")
	mine, theirs := tenantKey(t, "e2e-mine"), tenantKey(t, "e2e-theirs")
	t.Setenv("BRIG_API", s.url)
	t.Setenv("BRIG_API_KEY", mine)
	name := fmt.Sprint("e2e-http-", os.Getpid())
	dir := t.TempDir()
	for file, text := range map[string]string{
		"Dockerfile":    "FROM python\nARG WHO\nCOPY app /opt/app\nRUN echo for $WHO > /opt/who\nENV GREETING=hello\n",
		"app/main":      "#!/bin/sh\necho $GREETING $(cat /opt/who)\n",
		"ignored.log":   "x",
		".dockerignore": "*.log\n",
	} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out := run(t, "", "template", "build", name, "--file", filepath.Join(dir, "Dockerfile"), "--build-arg", "WHO=me"); out.code != 0 || !strings.Contains(out.stderr, "built "+name) {
		t.Fatalf("%+v", out)
	}
	if out := run(t, "", "run", "--template", name, "--", "/opt/app/main"); out.code != 0 || out.stdout != "hello for me\n" {
		t.Errorf("%+v", out)
	}
	other, err := client.New(s.url, theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for what, err := range map[string]error{
		"look at": second(other.Templates.Get(t.Context(), name)), "remove": other.Templates.Delete(t.Context(), name),
		"use": second(other.Sandboxes.Create(t.Context(), api.CreateRequest{Template: name})),
	} {
		if api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("another tenant may %s it: %v", what, err)
		}
	}
	b, err := other.Templates.Build(t.Context(), api.BuildRequest{Name: name + "-too", Dockerfile: "FROM " + name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = other.Templates.BuildLog(t.Context(), b.ID, true, func(api.BuildEvent) {}); err != nil || b.Status != api.BuildFailed {
		t.Errorf("another tenant built from it: %+v, %v", b, err)
	}
	if out := run(t, "", "template", "rm", name); out.code != 0 {
		t.Errorf("%+v", out)
	}
	if resp, err := http.Get(s.url + "/v1/templates/builds"); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %v, %v", resp, err)
	}
}

// tenantKey makes a key of a tenant that ends with the test.
func tenantKey(t *testing.T, owner string) string {
	t.Helper()
	secret := ok(t, "key", "create", "--owner", owner, "--ttl", "1h")
	t.Cleanup(func() {
		if out, err := brig(context.Background(), "key", "revoke", secret[:11]).CombinedOutput(); err != nil {
			t.Errorf("revoke: %v: %s", err, out)
		}
	})
	return secret
}

func second[T any](_ T, err error) error { return err }
