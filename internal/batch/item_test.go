package batch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/batch/repair"
	"github.com/brigdev/brig/internal/host"
)

// watched is a host that remembers what was asked of it, and fails on request.
type watched struct {
	host.Host
	mu     sync.Mutex
	specs  []api.SandboxSpec
	resets int
	fail   func(n int) error // of the nth Create, from 1
}

func (w *watched) Create(ctx context.Context, spec api.SandboxSpec) (host.Sandbox, error) {
	w.mu.Lock()
	w.specs = append(w.specs, spec)
	n := len(w.specs)
	w.mu.Unlock()
	if w.fail != nil {
		if err := w.fail(n); err != nil {
			return nil, err
		}
	}
	sb, err := w.Host.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &watchedSandbox{sb, w}, nil
}

type watchedSandbox struct {
	host.Sandbox
	host *watched
}

func (s *watchedSandbox) Reset(ctx context.Context) error {
	s.host.mu.Lock()
	s.host.resets++
	s.host.mu.Unlock()
	return s.Sandbox.Reset(ctx)
}

func (r *rig) watch() *watched {
	w := &watched{Host: r.host}
	r.options.Host = w
	return w
}

func TestFreshSandboxForEach(t *testing.T) {
	r := newRig(t, goods(10)...)
	w := r.watch()
	r.run(t)
	if len(w.specs) != 11 || w.resets != 0 { // one finds out beforehand whether it works
		t.Errorf("%d sandboxes and %d resets, want 11 and 0", len(w.specs), w.resets)
	}
	for _, s := range w.specs {
		if s.Reuse || s.Warm != "python" {
			t.Errorf("spec: %+v", s)
		}
	}
}

func TestChunks(t *testing.T) {
	r := newRig(t, goods(25)...)
	w := r.watch()
	s := r.run(t, func(o *batch.Options) { o.Per, o.Concurrency = batch.Granularity{Items: 10}, 1 })
	if s.OK != 25 || len(w.specs) != 1+3 || w.resets != 22 || !w.specs[1].Reuse {
		t.Errorf("%d ok in %d sandboxes with %d resets, want 25, 4 and 22", s.OK, len(w.specs), w.resets)
	}
}

// TestChunksOfAlternatingTrust has two trust domains by turns. Their items fill
// chunks all the same, and none shares a sandbox with another domain's.
func TestChunksOfAlternatingTrust(t *testing.T) {
	var lines []string
	for i := range 24 {
		lines = append(lines, fmt.Sprintf(`{"custom_id": "%d", "trust": "%d", "code": "write /work/result.json 1"}`, i, i%2))
	}
	r := newRig(t, lines...)
	w := r.watch()
	s := r.run(t, func(o *batch.Options) { o.Per, o.Concurrency = batch.Granularity{Items: 4}, 1 })
	if s.OK != 24 || len(w.specs) != 1+6 || w.resets != 18 {
		t.Errorf("%d ok in %d sandboxes with %d resets, want 24, 7 and 18", s.OK, len(w.specs), w.resets)
	}
	trust := map[string]int{}
	for id, res := range r.results(t) {
		n, err := strconv.Atoi(id)
		if err != nil {
			t.Fatal(err)
		}
		if of, known := trust[res.Sandbox]; known && of != n%2 {
			t.Errorf("%s ran in another domain's sandbox", id)
		}
		trust[res.Sandbox] = n % 2
	}
}

// TestChunksKeepApart has items that leave something behind, that kill their
// sandbox, and that are of another trust domain.
func TestChunksKeepApart(t *testing.T) {
	trusted := func(id, trust string) string {
		return fmt.Sprintf(`{"custom_id": %q, "trust": %q, "code": "write /work/result.json 1"}`, id, trust)
	}
	r := newRig(t,
		item("leaves", "write /work/left.txt x", "write /work/result.json 1"),
		item("looks", "cat /work/left.txt"),
		item("dies", "oom box"),
		good("after"),
		trusted("a1", "a"), trusted("a2", "a"), trusted("b1", "b"), trusted("a3", "a"),
	)
	w := r.watch()
	r.run(t, func(o *batch.Options) { o.Per, o.Concurrency = batch.Granularity{Items: -1}, 1 })
	got := r.results(t)
	if got["looks"].Verdict != api.Nonzero {
		t.Errorf("the next item of a chunk saw the last one's file: %+v", got["looks"])
	}
	if got["dies"].Verdict != api.OOM || !got["after"].OK || !got["a3"].OK {
		t.Errorf("dies %s, after %s", got["dies"].Verdict, got["after"].Verdict)
	}
	same := func(a, b string) bool { return got[a].Sandbox == got[b].Sandbox }
	if !same("leaves", "looks") || same("dies", "after") || !same("a1", "a2") || same("a1", "b1") || same("b1", "a3") || same("after", "a1") {
		t.Errorf("sandboxes are shared wrongly; specs %+v", w.specs)
	}
}

func TestPlatformFailures(t *testing.T) {
	broken := errors.New("the hypervisor is on fire")
	r := newRig(t, goods(1)...)
	w := r.watch()
	w.fail = func(n int) error {
		if n == 2 || n == 3 {
			return broken
		}
		return nil
	}
	s := r.run(t)
	if s.OK != 1 || len(w.specs) != 4 || len(r.results(t)["item-0000"].Attempts) != 1 {
		t.Errorf("failing twice: %+v, %d creates", s, len(w.specs))
	}

	r = newRig(t, goods(1)...)
	w = r.watch()
	w.fail = func(n int) error {
		if n > 1 {
			return broken
		}
		return nil
	}
	s = r.run(t, func(o *batch.Options) { o.Attempts = 5 })
	res := r.results(t)["item-0000"]
	if s.Failed != 1 || res.Verdict != api.Infra || res.Error == nil || !strings.Contains(res.Error.Message, "on fire") || len(w.specs) != 4 {
		t.Errorf("failing always: %+v, %d creates", res, len(w.specs))
	}
}

// TestLostBox has boxes that die under their program: the item runs again.
func TestLostBox(t *testing.T) {
	r := newRig(t, good("fine"), item("dies", "die"))
	r.run(t)
	got := r.results(t)
	if dies := got["dies"]; dies.OK || dies.Error == nil || len(dies.Attempts) != 1 || !got["fine"].OK {
		t.Errorf("dies: %+v, fine: %s", dies, got["fine"].Verdict)
	}
}

// TestHopeless is an error that every item would meet: the batch does not
// score it to the items.
func TestHopeless(t *testing.T) {
	r := newRig(t, goods(5)...)
	w := r.watch()
	w.fail = func(n int) error {
		if n > 2 {
			return api.Errorf(api.CodeUnavailable, "cannot make boxes any more").WithFix("mend it")
		}
		return nil
	}
	o := r.options
	o.Concurrency = 1
	if _, err := batch.Run(t.Context(), o); api.CodeOf(err) != api.CodeUnavailable || api.FixOf(err) != "mend it" {
		t.Errorf("error %v", err)
	}
	w.fail = nil
	if s := r.run(t); s.OK != 5 {
		t.Errorf("afterwards: %+v", s)
	}
}

func TestAttempts(t *testing.T) {
	r := newRig(t, item("bad", "exit 1"), good("fine"))
	r.run(t, func(o *batch.Options) { o.Attempts = 3 })
	got := r.results(t)
	if len(got["bad"].Attempts) != 3 || len(got["fine"].Attempts) != 1 {
		t.Errorf("attempts: bad %+v, fine %+v", got["bad"].Attempts, got["fine"].Attempts)
	}
}

// interrupted is a repairer in whose time somebody stops the run.
type interrupted struct{ stop context.CancelFunc }

func (i interrupted) Repair(ctx context.Context, _ repair.Request) (string, error) {
	i.stop()
	<-ctx.Done()
	return "", ctx.Err()
}

// TestStopDuringRepair wants no failure to stand that might still be repaired.
func TestStopDuringRepair(t *testing.T) {
	r := newRig(t, item("bad", "exit 1"))
	ctx, stop := context.WithCancel(t.Context())
	o := r.options
	o.Repairer, o.Attempts = interrupted{stop}, 2
	s, err := batch.Run(ctx, o)
	if err != nil || s.State != progress.Stopped || s.Done != 0 {
		t.Fatalf("the stopped run: %+v, %v", s, err)
	}
	fix := &scripted{codes: []string{"write /work/result.json 1"}}
	s = r.run(t, func(o *batch.Options) { o.Repairer, o.Attempts = fix, 2 })
	if got := r.results(t)["bad"]; s.OK != 1 || len(got.Attempts) != 2 {
		t.Errorf("resumed: %+v, %+v", s, got)
	}
}

// scripted repairs with code from a list, one for each attempt.
type scripted struct {
	mu    sync.Mutex
	codes []string
	asked []repair.Request
}

func (s *scripted) Repair(_ context.Context, r repair.Request) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	if len(s.asked) > len(s.codes) {
		return "", errors.New("no more ideas")
	}
	return s.codes[len(s.asked)-1], nil
}

func TestRepair(t *testing.T) {
	r := newRig(t, `{"custom_id": "bad", "code": "stderr first\nexit 4", "input": {"a": 1}}`, good("fine"))
	s := &scripted{codes: []string{"stderr second\nexit 5", "write /work/result.json 3"}}
	r.run(t, func(o *batch.Options) { o.Repairer = s })
	got := r.results(t)["bad"]
	if !got.OK || len(got.Attempts) != 3 || got.Attempts[0].Code != "" || got.Attempts[1].Code != s.codes[0] || got.Attempts[2].Code != s.codes[1] {
		t.Errorf("result: %+v", got)
	}
	if len(s.asked) != 2 {
		t.Fatalf("the repairer was asked %d times", len(s.asked))
	}
	first, second := s.asked[0], s.asked[1]
	if first.Verdict != api.Nonzero || *first.ExitCode != 4 || first.Stderr != "first\n" || first.Attempt != 1 || string(first.Input) != `{"a": 1}` || first.Language != "python" {
		t.Errorf("first request: %+v", first)
	}
	if second.Code != s.codes[0] || second.Attempt != 2 || second.Stderr != "second\n" {
		t.Errorf("second request: %+v", second)
	}

	r = newRig(t, item("bad", "exit 4"))
	r.run(t, func(o *batch.Options) { o.Repairer = &scripted{} })
	if got := r.results(t)["bad"]; got.Verdict != api.Nonzero || len(got.Attempts) != 1 {
		t.Errorf("when there is no repair: %+v", got)
	}
}

func TestInputsAndFiles(t *testing.T) {
	it := api.Item{
		CustomID: "one", Code: "cat input.json\ncat data/a.txt\ncat b.bin\ncopy input.json result.json",
		Input: json.RawMessage(`{"n": [1,   2]}`),
		Files: map[string]string{"data/a.txt": "text|", "b.bin": "base64:AP8="},
	}
	b, err := json.Marshal(it)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, string(b))
	r.run(t)
	got := r.results(t)["one"]
	if !got.OK || string(got.Result) != `{"n":[1,2]}` || got.StdoutBase64 == "" || !strings.HasSuffix(got.Stdout, "text|\x00\uFFFD") {
		t.Errorf("result %s, stdout %q", got.Result, got.Stdout)
	}
}

func TestResultModes(t *testing.T) {
	for mode, want := range map[batch.ResultMode]map[string]api.Verdict{
		batch.ResultRequired: {"with": api.OK, "without": api.BadResult, "bad": api.BadResult},
		batch.ResultOptional: {"with": api.OK, "without": api.OK, "bad": api.BadResult},
		batch.ResultNone:     {"with": api.OK, "without": api.OK, "bad": api.OK},
	} {
		r := newRig(t, good("with"), item("without", "true"), item("bad", "write result.json nonsense"))
		r.run(t, func(o *batch.Options) { o.Result = mode })
		for id, res := range r.results(t) {
			if res.Verdict != want[id] {
				t.Errorf("%s: %s is %s, want %s", mode, id, res.Verdict, want[id])
			}
		}
	}
}

func TestArtifacts(t *testing.T) {
	r := newRig(t,
		item("../../evil id", "write out/a.png PNG", "write out/deep/b.csv x", "write c.png no", "symlink /etc/passwd out/link.png",
			"fifo out/pipe.png", "write result.json 1"),
		item("fails", "write out/log.png why", "exit 1"),
		item("none", "write result.json 1"),
		item("big", "fill out/big.png 80MiB", "write out/small.png s", "write result.json 1"),
	)
	r.run(t, func(o *batch.Options) { o.Artifacts = []string{"out/*.png", "**/*.csv"} })
	got := r.results(t)
	evil := got["../../evil id"]
	if len(evil.Artifacts) != 2 || evil.Artifacts[0].Path != "out/a.png" || evil.Artifacts[0].Bytes != 3 || evil.Artifacts[1].Path != "out/deep/b.csv" {
		t.Errorf("artifacts: %+v", evil.Artifacts)
	}
	b, err := os.ReadFile(filepath.Join(string(r.options.Out), "artifacts", outdir.FolderName("../../evil id"), "out", "a.png"))
	if err != nil || string(b) != "PNG" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if len(got["fails"].Artifacts) != 1 || len(got["none"].Artifacts) != 0 {
		t.Errorf("fails has %+v, none has %+v", got["fails"].Artifacts, got["none"].Artifacts)
	}
	if big := got["big"]; !big.Truncated.Artifacts || len(big.Artifacts) != 1 || big.Artifacts[0].Path != "out/small.png" || !big.OK {
		t.Errorf("big: %s, %+v, %+v", big.Verdict, big.Artifacts, big.Truncated)
	}
	folders, err := os.ReadDir(filepath.Join(string(r.options.Out), "artifacts"))
	if err != nil || len(folders) != 3 {
		t.Errorf("folders %v, %v", folders, err)
	}
}

// TestHugeResult has streams and a result that together are more than a line of
// the journal takes.
func TestHugeResult(t *testing.T) {
	r := newRig(t, item("big", `fill /work/zeros 12MiB`, "flood 20MiB", `write /work/result.json 1`))
	r.run(t, func(o *batch.Options) { o.Limits.OutputBytes = 60 << 20 })
	if got := r.results(t)["big"]; !got.OK || len(got.Stdout) != 20<<20 {
		t.Errorf("%s with %d bytes of stdout", got.Verdict, len(got.Stdout))
	}
	r = newRig(t, item("big", "flood 30MiB", `write /work/result.json 1`))
	r.run(t, func(o *batch.Options) { o.Limits.OutputBytes = 60 << 20 })
	if got := r.results(t)["big"]; !got.OK || len(got.Stdout) != 64<<10 || !got.Truncated.Stdout {
		t.Errorf("%s with %d bytes of stdout, truncated %v", got.Verdict, len(got.Stdout), got.Truncated.Stdout)
	}
}
