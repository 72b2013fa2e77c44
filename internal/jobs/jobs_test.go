package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/host/hosttest"
	"github.com/brigdev/brig/internal/jobs"
	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/jetstream"
)

const ann, bob = "ann", "bob"

// rig is a service over a real host whose boxes are fakes.
type rig struct {
	*jobs.Service
	t   *testing.T
	cfg jobs.Config
}

func newRig(t *testing.T, change ...func(*jobs.Config)) *rig {
	t.Helper()
	m, err := host.NewManager(host.Config{
		Drivers: []driver.Driver{fake.New(fake.Options{Rung: api.RungGVisor})}, Templates: hosttest.NewTemplates(t), StateDir: t.TempDir(),
		MemoryBytes: 64 << 30, CPUs: 8, CPUOvercommit: 8, MaxStarts: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	r := &rig{t: t, cfg: jobs.Config{
		Dir: t.TempDir(), Host: m,
		OpenJournal: func(ctx context.Context, dir string) (store.Store, error) {
			return jetstream.Open(ctx, dir, jetstream.Options{})
		},
		Template: func(_ context.Context, _, name string) (string, []string, error) {
			if name != "" && name != "fake" {
				return "", nil, api.Errorf(api.CodeNotFound, "cannot find template %s", name)
			}
			return "fake", []string{"python", "shell"}, nil
		},
	}}
	for _, c := range change {
		c(&r.cfg)
	}
	r.open()
	t.Cleanup(func() { _ = r.Service.Close() })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	s, err := jobs.Open(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Service = s
}

// item is an input line whose program is in the fake's script language.
func item(id string, script ...string) string {
	b, err := json.Marshal(api.Item{CustomID: id, Code: strings.Join(script, "\n")})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func good(id string) string { return item(id, fmt.Sprintf(`write /work/result.json {"id": %q}`, id)) }

func goods(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = good(fmt.Sprintf("item-%03d", i))
	}
	return lines
}

func (r *rig) upload(owner string, lines ...string) string {
	r.t.Helper()
	f, err := r.Upload(owner, "in.jsonl", strings.NewReader(strings.Join(lines, "\n")+"\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	return f.ID
}

// create begins a batch of ann's.
func (r *rig) create(req api.BatchRequest, lines ...string) string {
	r.t.Helper()
	req.InputFileID = r.upload(ann, lines...)
	b, err := r.Create(r.t.Context(), ann, req)
	if err != nil {
		r.t.Fatalf("%v (fix: %s)", err, api.FixOf(err))
	}
	return b.ID
}

// end waits for a batch's end by following its results, and gives them by id.
func (r *rig) end(id string) (api.Batch, map[string]api.ItemResult) {
	r.t.Helper()
	var out bytes.Buffer
	if err := r.Results(r.t.Context(), ann, id, 0, true, &out, func() error { return nil }); err != nil {
		r.t.Fatal(err)
	}
	results := map[string]api.ItemResult{}
	for line := range strings.Lines(out.String()) {
		var res api.ItemResult
		if err := json.Unmarshal([]byte(line), &res); err != nil {
			r.t.Fatalf("%v in %q", err, line)
		}
		results[res.CustomID] = res
	}
	b, err := r.Get(ann, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return b, results
}

// until waits for something that happens by itself.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("it did not happen: %s", what)
		}
	}
}

func (r *rig) status(id string) api.Batch {
	r.t.Helper()
	b, err := r.Get(ann, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func TestBatch(t *testing.T) {
	r := newRig(t)
	lines := append(goods(20), item("bad", "exit 3"), "no item", item("made", "write /work/out/a.txt hello", `write /work/result.json 1`))
	id := r.create(api.BatchRequest{Artifacts: []string{"out/*"}, Metadata: map[string]string{"k": "v"}}, lines...)
	b, results := r.end(id)
	if b.Status != api.BatchCompleted || b.RequestCounts != (api.BatchCounts{Total: 22, Completed: 21, Failed: 1}) || b.Progress.Rejected != 1 || b.CompletedAt == 0 || b.InProgressAt == 0 {
		t.Errorf("%+v", b)
	}
	if len(results) != 22 || string(results["item-007"].Result) != `{"id": "item-007"}` && string(results["item-007"].Result) != `{"id":"item-007"}` {
		t.Errorf("%d results, %s", len(results), results["item-007"].Result)
	}
	if len(b.Progress.Failures) != 1 || b.Progress.Failures[0].Example != "bad" || b.Metadata["k"] != "v" {
		t.Errorf("%+v", b.Progress)
	}
	for file, want := range map[string]string{b.OutputFileID: `"custom_id":"item-003"`, b.ErrorFileID: `"line":22`, b.InputFileID: "no item"} {
		f, content, err := r.OpenFile(ann, file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		text, err := io.ReadAll(content)
		content.Close()
		if err != nil || !strings.Contains(string(text), want) || f.Bytes != int64(len(text)) {
			t.Errorf("%s has no %s: %.300s, %v", file, want, text, err)
		}
	}
	f, err := r.Artifact(ann, id, "made", results["made"].Artifacts[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(f); err != nil || string(text) != "hello" {
		t.Errorf("the artifact is %q, %v", text, err)
	}
	f.Close()
	for _, path := range []string{"", ".", "..", "../../results.jsonl", "/etc/passwd", "out/b.txt"} {
		if f, err := r.Artifact(ann, id, "made", path); api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("artifact %q: %v, %v", path, f, err)
		}
	}
	for customID, want := range map[string]api.Code{"bad": "", "item-001": "", "none": api.CodeNotFound} {
		it, err := r.Item(t.Context(), ann, id, customID)
		if want == "" && (err != nil || it.Result == nil || it.Code == "") || want != "" && api.CodeOf(err) != want {
			t.Errorf("item %s: %+v, %v", customID, it, err)
		}
		if err != nil && strings.Contains(err.Error(), r.cfg.Dir) {
			t.Errorf("an error tells of this host: %v", err)
		}
	}
}

// TestOwners: nothing of one tenant exists for another.
func TestOwners(t *testing.T) {
	r := newRig(t)
	id := r.create(api.BatchRequest{}, good("a"))
	b, _ := r.end(id)
	var nothing bytes.Buffer
	for what, err := range map[string]error{
		"get": second(r.Get(bob, id)), "cancel": second(r.Cancel(bob, id)), "retry": second(r.Retry(bob, id, api.BatchRetry{})),
		"remove": r.Remove(bob, id), "item": second(r.Item(t.Context(), bob, id, "a")), "artifact": second(r.Artifact(bob, id, "a", "x")),
		"results": r.Results(t.Context(), bob, id, 0, true, &nothing, func() error { return nil }),
		"file":    second(r.File(bob, b.InputFileID)), "output": second(r.File(bob, b.OutputFileID)), "remove file": r.RemoveFile(bob, b.InputFileID),
		"create": second(r.Create(t.Context(), bob, api.BatchRequest{InputFileID: b.InputFileID})),
		"a path": second(r.Get(ann, "../batches/"+id)), "a file's path": second(r.File(ann, "../files/"+b.InputFileID)),
	} {
		if api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if list, err := r.List(bob); err != nil || len(list) != 0 {
		t.Errorf("bob has %v, %v", list, err)
	}
	if list, err := r.Files(bob); err != nil || len(list) != 0 || nothing.Len() > 0 {
		t.Errorf("bob has %v, %v, read %q", list, err, nothing.String())
	}
}

func second[T any](_ T, err error) error { return err }

// TestRestart ends the service in the middle of a batch and goes on with another.
func TestRestart(t *testing.T) {
	r := newRig(t)
	id := r.create(api.BatchRequest{Concurrency: 1}, append(goods(3), item("slow", "sleep 300ms", "write /work/result.json 1"), good("last"))...)
	r.until("some results", func() bool { return r.status(id).RequestCounts.Completed >= 3 })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	b, results := r.end(id)
	if b.Status != api.BatchCompleted || len(results) != 5 || b.RequestCounts.Completed != 5 {
		t.Errorf("%+v, %d results", b, len(results))
	}
	other := *r
	other.open()
	defer other.Service.Close()
	if b, _ := other.end(id); b.Status != api.BatchCompleted {
		t.Errorf("another server sees %+v", b)
	}
}

func TestCancelAndRetry(t *testing.T) {
	r := newRig(t, func(c *jobs.Config) { c.MaxRunning = 1 })
	id := r.create(api.BatchRequest{Concurrency: 1, BatchLimits: api.BatchLimits{TimeoutSeconds: 60}}, good("a"), item("hangs", "hang"), good("b"))
	waiting := r.create(api.BatchRequest{}, good("w"))
	r.until("a result", func() bool { return r.status(id).RequestCounts.Completed == 1 })
	if _, err := r.Retry(ann, id, api.BatchRetry{}); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("retry of one that runs: %v", err)
	}
	if err := r.Remove(ann, id); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("removal of one that runs: %v", err)
	}
	if b, err := r.Cancel(ann, waiting); err != nil || b.Status != api.BatchCancelled {
		t.Errorf("a batch that waits: %+v, %v", b, err)
	}
	if b, err := r.Cancel(ann, id); err != nil || b.Status != api.BatchCancelling {
		t.Errorf("a batch that runs: %+v, %v", b, err)
	}
	b, results := r.end(id)
	if b.Status != api.BatchCancelled || len(results) != 1 || b.CancelledAt == 0 {
		t.Errorf("%+v, %d results", b, len(results))
	}
	if _, err := r.Cancel(ann, id); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("cancelled twice: %v", err)
	}
	// A retry goes on with what has no result, with other limits, and then again
	// with what failed.
	if _, err := r.Retry(ann, id, api.BatchRetry{BatchLimits: api.BatchLimits{TimeoutSeconds: 0.1}}); err != nil {
		t.Fatal(err)
	}
	b, results = r.end(id)
	if b.Status != api.BatchCompleted || len(results) != 3 || results["hangs"].Verdict != api.Timeout || b.CancelledAt != 0 {
		t.Errorf("%+v, %v", b, results)
	}
	if _, err := r.Retry(ann, id, api.BatchRetry{Only: []string{"nobody"}}); err != nil {
		t.Fatal(err)
	}
	if b, _ = r.end(id); b.Status != api.BatchFailed || b.Errors == nil || strings.Contains(b.Errors.Data[0].Message, r.cfg.Dir) {
		t.Errorf("%+v", b)
	}
	if err := r.Remove(ann, id); err != nil {
		t.Error(err)
	}
	if _, err := r.Get(ann, id); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("it was removed: %v", err)
	}
}

func TestFailures(t *testing.T) {
	r := newRig(t)
	id := r.create(api.BatchRequest{}, "nothing", "here")
	if b, _ := r.end(id); b.Status != api.BatchFailed || b.FailedAt == 0 || b.Errors == nil || b.Errors.Data[0].Code != api.CodeInvalid || strings.Contains(b.Errors.Data[0].Message, r.cfg.Dir) {
		t.Errorf("no items: %+v", b.Errors)
	}
	id = r.create(api.BatchRequest{MaxFailures: 1, Concurrency: 1}, item("x", "exit 1"), good("a"), good("b"))
	if b, _ := r.end(id); b.Status != api.BatchFailed || b.RequestCounts.Failed != 1 {
		t.Errorf("max_failures: %+v", b)
	}
	id = r.create(api.BatchRequest{CompletionWindow: "100ms", Concurrency: 1}, item("x", "hang"))
	if b, _ := r.end(id); b.Status != api.BatchExpired && b.Status != api.BatchCompleted || b.ExpiredAt == 0 {
		t.Errorf("the window is over: %+v", b)
	}
	file := r.upload(ann, good("a"))
	for what, req := range map[string]api.BatchRequest{
		"no file": {}, "window": {InputFileID: file, CompletionWindow: "soon"}, "long": {InputFileID: file, CompletionWindow: "1000h"},
		"template": {InputFileID: file, Template: "none"}, "format": {InputFileID: file, Format: "xml"}, "directory": {InputFileID: file, Format: "dir"},
		"attempts": {InputFileID: file, Attempts: -1}, "per": {InputFileID: file, Per: "some"}, "glob": {InputFileID: file, Artifacts: []string{"../x"}},
		"timeout": {InputFileID: file, BatchLimits: api.BatchLimits{TimeoutSeconds: -1}}, "memory": {InputFileID: file, BatchLimits: api.BatchLimits{Limits: api.Resources{MemoryBytes: 1}}},
		"metadata": {InputFileID: file, Metadata: map[string]string{"k": strings.Repeat("x", 5000)}},
	} {
		if b, err := r.Create(t.Context(), ann, req); api.CodeOf(err) != api.CodeInvalid && api.CodeOf(err) != api.CodeNotFound || api.FixOf(err) == "" && what != "template" {
			t.Errorf("%s: %+v, %v", what, b, err)
		}
	}
}

func TestFiles(t *testing.T) {
	r := newRig(t, func(c *jobs.Config) { c.MaxFileBytes, c.MaxFilesBytes, c.MaxFiles, c.MaxBatches = 100, 150, 3, 1 })
	if _, err := r.Upload(ann, "x", strings.NewReader(strings.Repeat("x", 101))); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("too large: %v", err)
	}
	if _, err := r.Upload(ann, "x", iotest.ErrReader(errors.New("gone"))); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("broken off: %v", err)
	}
	a, err := r.Upload(ann, "../\x1bé", strings.NewReader(strings.Repeat("x", 100)))
	if err != nil || a.Filename != ".._\u005f"+"é" || a.Bytes != 100 {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := r.Upload(ann, "x", strings.NewReader(strings.Repeat("x", 60))); err != nil {
		t.Error(err)
	}
	if _, err := r.Upload(ann, "x", strings.NewReader("x")); api.CodeOf(err) != api.CodeExhausted {
		t.Errorf("too much: %v", err)
	}
	if list, err := r.Files(ann); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
	if err := r.RemoveFile(ann, a.ID); err != nil {
		t.Error(err)
	}
	if _, err := r.File(ann, a.ID); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("removed: %v", err)
	}
	// A batch keeps its input; and there may be one only.
	id := r.create(api.BatchRequest{}, good("a"))
	b, _ := r.end(id)
	if err := r.RemoveFile(ann, b.InputFileID); err != nil {
		t.Error(err)
	}
	if err := r.RemoveFile(ann, b.OutputFileID); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("removal of results: %v", err)
	}
	if it, err := r.Item(t.Context(), ann, id, "a"); err != nil || it.Code == "" {
		t.Errorf("the input is gone: %+v, %v", it, err)
	}
	if _, err := r.Create(t.Context(), ann, api.BatchRequest{InputFileID: r.upload(ann, good("a"))}); api.CodeOf(err) != api.CodeExhausted {
		t.Errorf("too many batches: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(r.cfg.Dir, "*", "*", ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestQuota: every sandbox of a batch is held and released, and one that can never
// be held ends the batch.
func TestQuota(t *testing.T) {
	var held, most, now atomic.Int64
	r := newRig(t, func(c *jobs.Config) {
		c.Hold = func(_ context.Context, owner string, l api.Limits) (func(), error) {
			if owner != ann || l.MemoryBytes > 1<<30 {
				return nil, api.Errorf(api.CodeExhausted, "cannot make a sandbox").WithFix("ask for less")
			}
			held.Add(1)
			most.Store(max(most.Load(), now.Add(1)))
			return sync.OnceFunc(func() { now.Add(-1) }), nil
		}
	})
	id := r.create(api.BatchRequest{Concurrency: 2}, goods(10)...)
	if b, _ := r.end(id); b.Status != api.BatchCompleted || held.Load() != 11 || now.Load() != 0 || most.Load() > 2 {
		t.Errorf("%s; held %d, %d at a time, %d still", b.Status, held.Load(), most.Load(), now.Load())
	}
	id = r.create(api.BatchRequest{BatchLimits: api.BatchLimits{Limits: api.Resources{MemoryBytes: 2 << 30}}}, good("a"))
	if b, _ := r.end(id); b.Status != api.BatchFailed || b.Errors.Data[0].Code != api.CodeExhausted {
		t.Errorf("%+v", b)
	}
}

// TestTooMuch: a batch that leaves too much ends, and then there is room for no other.
func TestTooMuch(t *testing.T) {
	r := newRig(t, func(c *jobs.Config) { c.MaxResultBytes, c.MaxResultsBytes = 1000, 1000 })
	id := r.create(api.BatchRequest{Concurrency: 1}, item("a", "stdout "+strings.Repeat("x", 2000), "write /work/result.json 1"), good("b"), good("c"), item("d", "hang"))
	b, _ := r.end(id)
	if b.Status != api.BatchFailed || b.Errors == nil || b.Errors.Data[0].Code != api.CodeExhausted {
		t.Errorf("%+v", b)
	}
	if _, err := r.Create(t.Context(), ann, api.BatchRequest{InputFileID: r.upload(ann, good("a"))}); api.CodeOf(err) != api.CodeExhausted {
		t.Errorf("another one: %v", err)
	}
	if err := r.Remove(ann, id); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(t.Context(), ann, api.BatchRequest{InputFileID: r.upload(ann, good("a"))}); err != nil {
		t.Error(err)
	}
}

// TestUploads: so many at a time.
func TestUploads(t *testing.T) {
	r := newRig(t, func(c *jobs.Config) { c.MaxUploads = 1 })
	reading, end := make(chan struct{}), make(chan struct{})
	sent := make(chan error, 1)
	go func() {
		_, err := r.Upload(ann, "x", readerFunc(func([]byte) (int, error) {
			close(reading)
			<-end
			return 0, io.EOF
		}))
		sent <- err
	}()
	<-reading
	if _, err := r.Upload(ann, "x", strings.NewReader("x")); api.CodeOf(err) != api.CodeExhausted {
		t.Errorf("a second one: %v", err)
	}
	if _, err := r.Upload(bob, "x", strings.NewReader("x")); err != nil {
		t.Errorf("another tenant's: %v", err)
	}
	close(end)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, err := r.Upload(ann, "x", strings.NewReader("x")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestFollow reads results while they come, from an offset and after a torn line.
func TestFollow(t *testing.T) {
	r := newRig(t)
	id := r.create(api.BatchRequest{Concurrency: 2}, goods(50)...)
	_, results := r.end(id)
	if len(results) != 50 {
		t.Fatalf("%d results", len(results))
	}
	var all, rest bytes.Buffer
	flush := func() error { return nil }
	if err := r.Results(t.Context(), ann, id, 0, false, &all, flush); err != nil {
		t.Fatal(err)
	}
	at := bytes.IndexByte(all.Bytes(), '\n') + 1
	if err := r.Results(t.Context(), ann, id, int64(at), true, &rest, flush); err != nil || !bytes.Equal(rest.Bytes(), all.Bytes()[at:]) {
		t.Errorf("from %d: %v", at, err)
	}
	if err := r.Results(t.Context(), ann, id, 1<<40, false, &rest, flush); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("beyond the end: %v", err)
	}
	names, err := filepath.Glob(filepath.Join(r.cfg.Dir, "*", "batches", id, "out", "results.jsonl"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	f, err := os.OpenFile(names[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"torn":`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	rest.Reset()
	if err := r.Results(t.Context(), ann, id, 0, false, &rest, flush); err != nil || !bytes.Equal(rest.Bytes(), all.Bytes()) {
		t.Errorf("with a torn line: %v, %d bytes of %d", err, rest.Len(), all.Len())
	}
	hangs := r.create(api.BatchRequest{BatchLimits: api.BatchLimits{TimeoutSeconds: 60}}, item("x", "hang"))
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- r.Results(ctx, ann, hangs, 0, true, io.Discard, flush) }()
	cancel()
	if err := <-gone; api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("a reader that went away: %v", err)
	}
}
