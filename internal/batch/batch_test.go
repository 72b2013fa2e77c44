package batch_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/host/hosttest"
	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/jetstream"
)

// rig is a batch over a real host manager whose boxes are fakes.
type rig struct {
	dir     string // for input and output
	driver  *fake.Driver
	host    host.Host
	options batch.Options
	said    *bytes.Buffer // by the UI
}

func newRig(t *testing.T, lines ...string) *rig {
	t.Helper()
	d := fake.New(fake.Options{Rung: api.RungGVisor})
	r := &rig{dir: t.TempDir(), driver: d, said: &bytes.Buffer{}}
	m, err := host.NewManager(host.Config{
		Drivers: []driver.Driver{d}, Templates: hosttest.NewTemplates(t), StateDir: t.TempDir(),
		MemoryBytes: 64 << 30, CPUs: 8, CPUOvercommit: 8, MaxStarts: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	r.host = m
	r.options = batch.Options{
		Input: filepath.Join(r.dir, "in.jsonl"), Out: outdir.Dir(filepath.Join(r.dir, "out")),
		Template: "fake", Concurrency: 4, Host: m,
		OpenJournal: openJournal, UI: progress.NewPlain(r.said, r.said),
	}
	r.write(t, lines...)
	return r
}

func openJournal(ctx context.Context, dir string) (store.Store, error) {
	return jetstream.Open(ctx, dir, jetstream.Options{})
}

// write makes the input.
func (r *rig) write(t *testing.T, lines ...string) {
	t.Helper()
	if err := os.WriteFile(r.options.Input, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// item is an input line whose program is in the fake's script language.
func item(id string, script ...string) string {
	b, err := json.Marshal(api.Item{CustomID: id, Code: strings.Join(script, "\n")})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// good is an item that is ok, with a result that tells it from others.
func good(id string) string {
	return item(id, fmt.Sprintf(`write /work/result.json {"id": %q}`, id))
}

func goods(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = good(fmt.Sprintf("item-%04d", i))
	}
	return lines
}

// run runs the batch and wants it to end by itself.
func (r *rig) run(t *testing.T, change ...func(*batch.Options)) progress.Summary {
	t.Helper()
	o := r.options
	for _, c := range change {
		c(&o)
	}
	s, err := batch.Run(t.Context(), o)
	if err != nil {
		t.Fatalf("Run: %v (fix: %s)", err, api.FixOf(err))
	}
	if left, err := r.driver.Leftovers(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("boxes left: %v, %v", left, err)
	}
	return s
}

// results reads results.jsonl, which must have each id once and only whole lines.
func (r *rig) results(t *testing.T) map[string]api.ItemResult {
	t.Helper()
	return readResults(t, r.options.Out)
}

func readResults(t *testing.T, out outdir.Dir) map[string]api.ItemResult {
	t.Helper()
	f, err := os.Open(out.Results())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]api.ItemResult{}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var res api.ItemResult
		if err := json.Unmarshal(s.Bytes(), &res); err != nil {
			t.Fatalf("a line is no result: %v: %.200s", err, s.Bytes())
		}
		if _, twice := found[res.CustomID]; twice {
			t.Errorf("%s has two results", res.CustomID)
		}
		found[res.CustomID] = res
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// recorder is a UI that remembers.
type recorder struct {
	mu      sync.Mutex
	notices []string
	items   []string
	onItem  func(api.ItemResult)
}

func (u *recorder) Notice(s string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.notices = append(u.notices, s)
}

func (u *recorder) Item(res api.ItemResult) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.items = append(u.items, res.CustomID)
	if u.onItem != nil {
		u.onItem(res)
	}
}

func (u *recorder) Progress(progress.Snapshot, bool) {}
func (u *recorder) End(progress.Summary)             {}

func TestRun(t *testing.T) {
	r := newRig(t,
		good("fine"),
		item("nonzero", "stderr it broke at line 17", "exit 3"),
		item("signal", "signal 11"),
		item("missing", "stdout no result"),
		item("not-json", "write /work/result.json {'single': 'quotes'}"),
		item("no-utf8", `write /work/result.json $"\"\xff\""`),
		item("directory", "mkdir /work/result.json"),
		item("link", "symlink /etc/passwd /work/result.json"),
		item("fifo", "fifo /work/result.json"),
		item("huge", "sparse /work/result.json 1TiB"),
		item("deep", `write /work/result.json `+strings.Repeat("[", 100_000)),
		item("slow", "hang"),
		item("oom", "oom"),
		item("bytes", `stdout $"a\xffb"`, `write /work/result.json "x"`),
	)
	s := r.run(t, func(o *batch.Options) { o.Limits.Timeout = 200e6 })
	if s.State != progress.Finished || s.Done != 14 || s.OK != 2 || s.Failed != 12 {
		t.Errorf("summary: %+v", s)
	}
	res := r.results(t)
	for id, want := range map[string]api.Verdict{
		"fine": api.OK, "nonzero": api.Nonzero, "signal": api.Signal, "missing": api.BadResult,
		"not-json": api.BadResult, "no-utf8": api.BadResult, "directory": api.BadResult, "link": api.BadResult,
		"fifo": api.BadResult, "huge": api.BadResult, "deep": api.BadResult, "slow": api.Timeout,
		"oom": api.OOM, "bytes": api.OK,
	} {
		got := res[id]
		if got.Verdict != want || got.OK != (want == api.OK) || len(got.Attempts) != 1 || got.Attempts[0].Verdict != want {
			t.Errorf("%s: %+v, want %s", id, got, want)
		}
		if want == api.BadResult && (got.Error == nil || got.Error.Fix == "" || string(got.Result) != "null") {
			t.Errorf("%s: result %s, error %+v, want no result and an error with a fix", id, got.Result, got.Error)
		}
	}
	if got := res["fine"]; string(got.Result) != `{"id":"fine"}` || got.Isolation != api.RungGVisor || got.Sandbox == "" {
		t.Errorf("fine: %+v", got)
	}
	if got := res["bytes"]; got.Stdout != "a\uFFFDb" || got.StdoutBase64 != "Yf9i" {
		t.Errorf("bytes: %q %q", got.Stdout, got.StdoutBase64)
	}
}
