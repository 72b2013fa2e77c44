package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/builds"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/host/hosttest"
	"github.com/brigdev/brig/internal/httpapi"
	"github.com/brigdev/brig/internal/jobs"
	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/jetstream"
	"github.com/brigdev/brig/internal/template"
)

// pretend is a catalogue that builds nothing: it says what it was given.
type pretend struct{ built chan template.BuildOptions }

func (p pretend) Build(ctx context.Context, name string, o template.BuildOptions, _ func(string)) (template.Template, error) {
	p.built <- o
	o.Events(template.BuildEvent{Event: "log", Text: "event: done\n\nevent: done"})
	if o.Recipe == "fail" {
		return template.Template{}, api.Errorf(api.CodeInvalid, "cannot build: because it fails").WithFix("do not")
	}
	return template.Template{Name: name, Digest: "sha256:d"}, nil
}

func (p pretend) Remove(context.Context, string) error { return nil }
func (p pretend) List(context.Context) ([]template.Info, error) {
	return []template.Info{{Name: "host"}}, nil
}

// serveJobs gives a client of a server with batches and builds over fakes.
func serveJobs(t *testing.T) (*client.Client, pretend) {
	t.Helper()
	m, err := host.NewManager(host.Config{
		Drivers: []driver.Driver{fake.New(fake.Options{Rung: api.RungGVisor})}, Templates: hosttest.NewTemplates(t), StateDir: t.TempDir(),
		MemoryBytes: 64 << 30, CPUs: 8, CPUOvercommit: 8, MaxStarts: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	j, err := jobs.Open(jobs.Config{
		Dir: t.TempDir(), Host: m,
		OpenJournal: func(ctx context.Context, dir string) (store.Store, error) {
			return jetstream.Open(ctx, dir, jetstream.Options{})
		},
		Template: func(context.Context, string, string) (string, []string, error) {
			return "fake", []string{"python", "shell"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := pretend{make(chan template.BuildOptions, 10)}
	b, err := builds.Open(builds.Config{Dir: t.TempDir(), Templates: p, Local: "local", Bake: func(context.Context, template.Template, func(string)) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(); j.Close() })
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	api := httpapi.New(httpapi.Config{Sandboxes: controltest.New(t).Service, Jobs: j, Builds: b})
	go func() { done <- api.Serve(ctx, []httpapi.Listener{{Listener: l, Trusted: true}}, 5*time.Second) }()
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
	return c, p
}

// items are n good ones, and one that fails.
func items(n int) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for i := range n {
		_ = enc.Encode(api.Item{CustomID: fmt.Sprintf("i/%d", i), Code: fmt.Sprintf("write /work/out/a.txt file%d\nwrite /work/result.json %d", i, i)})
	}
	_ = enc.Encode(api.Item{CustomID: "bad", Code: "exit 3"})
	return b.String()
}

func TestBatches(t *testing.T) {
	c, _ := serveJobs(t)
	in, err := c.Files.Create(t.Context(), `a"b.jsonl`, strings.NewReader(items(30)))
	if err != nil || in.Bytes != int64(len(items(30))) || in.Purpose != "batch" || in.Object != "file" {
		t.Fatalf("%+v, %v", in, err)
	}
	b, err := c.Batches.Create(t.Context(), api.BatchRequest{
		InputFileID: in.ID, Artifacts: []string{"out/*"}, Metadata: map[string]string{"n": "1"}, CompletionWindow: "24h", Endpoint: "/v1/x",
	})
	if err != nil || b.Object != "batch" || b.Endpoint != "/v1/x" || b.CompletionWindow != "24h0m0s" && b.CompletionWindow != "24h" {
		t.Fatalf("%+v, %v", b, err)
	}
	var lines bytes.Buffer
	if err := c.Batches.Results(t.Context(), b.ID, 0, true, &lines); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 31 {
		t.Errorf("%d results", n)
	}
	if b, err = c.Batches.Get(t.Context(), b.ID); err != nil || b.Status != api.BatchCompleted || b.RequestCounts != (api.BatchCounts{Total: 31, Completed: 30, Failed: 1}) {
		t.Errorf("%+v, %v", b, err)
	}
	var content, artifact bytes.Buffer
	if err := c.Files.Content(t.Context(), b.OutputFileID, &content); err != nil || content.String() != lines.String() {
		t.Errorf("the output file: %v", err)
	}
	it, err := c.Batches.Item(t.Context(), b.ID, "i/7")
	if err != nil || it.Result == nil || len(it.Result.Artifacts) != 1 {
		t.Fatalf("%+v, %v", it, err)
	}
	if err := c.Batches.Artifact(t.Context(), b.ID, "i/7", it.Result.Artifacts[0].Path, &artifact); err != nil || artifact.String() != "file7" {
		t.Errorf("the artifact: %q, %v", artifact.String(), err)
	}
	if _, err := c.Batches.Cancel(t.Context(), b.ID); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("cancel: %v", err)
	}
	if _, err := c.Batches.Retry(t.Context(), b.ID, api.BatchRetry{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Batches.Results(t.Context(), b.ID, 0, true, io.Discard); err != nil {
		t.Fatal(err)
	}
	if b, err = c.Batches.Get(t.Context(), b.ID); err != nil || b.Status != api.BatchCompleted || b.RequestCounts.Failed != 1 {
		t.Errorf("after the retry: %+v, %v", b, err)
	}
	for range 2 {
		if _, err := c.Files.Create(t.Context(), "x", strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	one, err := c.Files.List(t.Context(), "", 2)
	if err != nil || len(one.Data) != 2 || !one.HasMore {
		t.Fatalf("%+v, %v", one, err)
	}
	if rest, err := c.Files.List(t.Context(), one.LastID, 0); err != nil || len(rest.Data) != 1 || rest.HasMore {
		t.Errorf("%+v, %v", rest, err)
	}
	if list, err := c.Batches.List(t.Context(), "", 0); err != nil || len(list.Data) != 1 || list.FirstID != b.ID {
		t.Errorf("%+v, %v", list, err)
	}
	if err := c.Files.Delete(t.Context(), in.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Files.Get(t.Context(), in.ID); api.CodeOf(err) != api.CodeNotFound || api.FixOf(err) == "" {
		t.Errorf("deleted: %v", err)
	}
	if err := c.Batches.Delete(t.Context(), b.ID); err != nil {
		t.Error(err)
	}
	if err := c.Batches.Results(t.Context(), b.ID, 0, true, io.Discard); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("results of none: %v", err)
	}
}

func TestBuilds(t *testing.T) {
	c, p := serveJobs(t)
	req := api.BuildRequest{Name: "app", Dockerfile: "FROM python\nCOPY . .", Args: map[string]string{"A": "b,c"}, Warm: []string{"json"}, RunMemoryMB: 64, AllowEgress: []string{"example.com"}}
	b, err := c.Templates.Build(t.Context(), req, func(add func(string, io.Reader) error) error {
		return add("src/main.py", strings.NewReader("print()"))
	})
	if err != nil || b.Name != "app" {
		t.Fatalf("%+v, %v", b, err)
	}
	var log []string
	if b, err = c.Templates.BuildLog(t.Context(), b.ID, true, func(e api.BuildEvent) { log = append(log, e.Text) }); err != nil || b.Status != api.BuildDone {
		t.Fatalf("%+v, %v", b, err)
	}
	if len(log) != 1 || !strings.Contains(log[0], "event: done\n\nevent: done") {
		t.Errorf("%q", log)
	}
	if o := <-p.built; o.Recipe != req.Dockerfile || o.Args["A"] != "b,c" || o.Warm[0] != "json" || o.Limits.MemoryBytes != 64<<20 || o.AllowEgress[0] != "example.com" {
		t.Errorf("%+v", o)
	}
	b, err = c.Templates.Build(t.Context(), api.BuildRequest{Name: "disk"}, func(add func(string, io.Reader) error) error {
		return add(client.RootfsFile, strings.NewReader("a tar"))
	})
	if err != nil || !b.Rootfs {
		t.Fatalf("%+v, %v", b, err)
	}
	if o := <-p.built; !strings.HasSuffix(o.From, "/rootfs") {
		t.Errorf("from %s", o.From)
	}
	if b, err = c.Templates.Build(t.Context(), api.BuildRequest{Name: "bad", Dockerfile: "fail"}, nil); err != nil {
		t.Fatal(err)
	}
	if b, err = c.Templates.BuildLog(t.Context(), b.ID, true, func(api.BuildEvent) {}); err != nil || b.Status != api.BuildFailed || b.Fix != "do not" {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := c.Templates.Build(t.Context(), api.BuildRequest{Name: "two", Dockerfile: "x", ImageRef: "y"}, nil); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("two kinds: %v", err)
	}
	if _, err := c.Templates.Build(t.Context(), req, func(add func(string, io.Reader) error) error {
		return add("../x", strings.NewReader(strings.Repeat("x", 1<<20)))
	}); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("a name that leads out: %v", err)
	}
	if list, err := c.Templates.Builds(t.Context(), "app"); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if err := c.Templates.DeleteBuild(t.Context(), b.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Templates.GetBuild(t.Context(), b.ID); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("deleted: %v", err)
	}
	if err := c.Templates.Delete(t.Context(), "app"); err != nil {
		t.Error(err)
	}
}
