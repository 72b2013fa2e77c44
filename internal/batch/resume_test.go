package batch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/jetstream"
)

func TestResumeDoesNothingTwice(t *testing.T) {
	r := newRig(t, append(goods(20), item("bad", "exit 1"))...)
	first := r.run(t)
	if first.Ran != 21 {
		t.Fatalf("the first run: %+v", first)
	}
	before, err := os.ReadFile(r.options.Out.Results())
	if err != nil {
		t.Fatal(err)
	}
	second := r.run(t)
	after, err := os.ReadFile(r.options.Out.Results())
	if err != nil {
		t.Fatal(err)
	}
	if second.Ran != 0 || second.Done != 21 || second.OK != 20 || second.Failed != 1 || second.State != progress.Finished {
		t.Errorf("the second run: %+v", second)
	}
	if string(before) != string(after) {
		t.Error("the second run changed results.jsonl")
	}
}

// TestResultsAreMended spoils results.jsonl in every way that a crash or a hand
// can. The next run makes it whole.
func TestResultsAreMended(t *testing.T) {
	r := newRig(t, goods(10)...)
	r.run(t)
	whole, err := os.ReadFile(r.options.Out.Results())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	for name, spoilt := range map[string]string{
		"torn":       string(whole[:len(whole)-7]),
		"empty":      "",
		"line gone":  strings.Join(lines[1:], ""),
		"line twice": string(whole) + lines[0],
		"no newline": string(whole[:len(whole)-1]),
		"garbage":    string(whole) + "\x00\xff\n",
		"changed":    strings.Replace(string(whole), `"ok":true`, `"ok":false`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(r.options.Out.Results(), []byte(spoilt), 0o600); err != nil {
				t.Fatal(err)
			}
			if s := r.run(t); s.Ran != 0 {
				t.Errorf("%d items ran again", s.Ran)
			}
			got := r.results(t)
			if len(got) != 10 {
				t.Errorf("%d results, want 10", len(got))
			}
			for id, res := range got {
				if !res.OK {
					t.Errorf("%s is %s", id, res.Verdict)
				}
			}
		})
	}
}

func TestRetryFailed(t *testing.T) {
	// The fake gives each box a number, so a program can be bad the first time.
	r := newRig(t, append(goods(5), item("bad", "exit 1"), item("slow", "sleep 300ms", `write /work/result.json 1`))...)
	s := r.run(t, func(o *batch.Options) { o.Limits.Timeout = 100e6 })
	if s.Failed != 2 {
		t.Fatalf("the first run: %+v", s)
	}
	if s := r.run(t, func(o *batch.Options) { o.Limits.Timeout = 100e6 }); s.Ran != 0 {
		t.Errorf("without --retry-failed %d items ran", s.Ran)
	}
	s = r.run(t, func(o *batch.Options) { o.RetryFailed = true })
	if s.Ran != 2 || s.OK != 6 || s.Failed != 1 || s.Done != 7 {
		t.Errorf("with --retry-failed: %+v", s)
	}
	got := r.results(t)
	if len(got) != 7 || !got["slow"].OK || got["bad"].Verdict != api.Nonzero {
		t.Errorf("%d results; slow %s, bad %s", len(got), got["slow"].Verdict, got["bad"].Verdict)
	}
}

// TestInterrupt stops a batch as Ctrl-C does. What ran has no result and is not
// counted as a death of brig.
func TestInterrupt(t *testing.T) {
	r := newRig(t, append(goods(8), item("hangs", "hang"), item("hangs-too", "hang"))...)
	for range 4 { // more often than an item may be lost
		ctx, cancel := context.WithCancel(t.Context())
		o := r.options
		o.UI = &recorder{onItem: func(api.ItemResult) { cancel() }}
		if done := doneOf(t, o.Out); done >= 8 {
			cancel()
		}
		s, err := batch.Run(ctx, o)
		cancel()
		if err != nil {
			if api.CodeOf(err) == api.CodeCancelled {
				continue
			}
			t.Fatal(err)
		}
		if s.State != progress.Stopped || s.Reason == "" || s.Fix == "" {
			t.Fatalf("summary: %+v", s)
		}
	}
	s := r.run(t, func(o *batch.Options) {
		o.RetryFailed, o.Limits.Timeout = true, 50e6 // which may be changed for a retry
	})
	got := r.results(t)
	if s.State != progress.Finished || len(got) != 10 || got["hangs"].Verdict != api.Timeout {
		t.Errorf("at the end: %+v, hangs %s", s, got["hangs"].Verdict)
	}
}

// doneOf counts the results that there are.
func doneOf(t *testing.T, out outdir.Dir) int {
	t.Helper()
	if _, err := os.Stat(out.Results()); err != nil {
		return 0
	}
	return len(readResults(t, out))
}

func TestMaxFailures(t *testing.T) {
	var lines []string
	for i := range 40 {
		lines = append(lines, item(fmt.Sprintf("bad-%d", i), "exit 1"))
	}
	r := newRig(t, lines...)
	limit := func(o *batch.Options) { o.MaxFailures, o.Concurrency = 5, 2 }
	s := r.run(t, limit)
	if s.State != progress.Stopped || s.Ran < 5 || s.Ran > 8 || !strings.Contains(s.Reason, "--max-failures") {
		t.Errorf("the first run: %+v", s)
	}
	if s := r.run(t, limit); s.Ran < 5 || s.State != progress.Stopped {
		t.Errorf("the same command again does not go on: %+v", s)
	}
	if s := r.run(t); s.State != progress.Finished || len(r.results(t)) != 40 {
		t.Errorf("the rest: %+v", s)
	}
}

func TestOtherBatch(t *testing.T) {
	r := newRig(t, goods(3)...)
	r.run(t)
	refused := func(what string, change func(*batch.Options)) {
		t.Helper()
		o := r.options
		change(&o)
		if _, err := batch.Run(t.Context(), o); api.CodeOf(err) != api.CodeInvalid || !strings.Contains(err.Error(), what) || api.FixOf(err) == "" {
			t.Errorf("%s: %v (fix %q)", what, err, api.FixOf(err))
		}
	}
	refused("--per", func(o *batch.Options) { o.Per = batch.Granularity{Items: 5} })
	refused("--artifacts", func(o *batch.Options) { o.Artifacts = []string{"*"} })
	refused("--timeout", func(o *batch.Options) { o.Limits.Timeout = 7e9 })
	r.write(t, goods(4)...)
	refused("another input", func(*batch.Options) {})
}

func TestTwoBrigs(t *testing.T) {
	r := newRig(t, goods(3)...)
	s, err := jetstream.Open(t.Context(), r.options.Out.Journal(), jetstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = batch.Run(t.Context(), r.options)
	if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), "another brig (pid ") {
		t.Errorf("while another has it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r.run(t)
}

// TestFullDisk fills the disk under the output in the middle of a batch. The run
// stops, says so, and goes on when there is room.
func TestFullDisk(t *testing.T) {
	var lines []string
	for i := range 60 {
		lines = append(lines, item(fmt.Sprintf("item-%d", i), "flood 400KiB", `write /work/result.json 1`))
	}
	r := newRig(t, lines...)
	disk := filepath.Join(r.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("brig-test", disk, "tmpfs", 0, "size=48M"); err != nil {
		t.Skipf("needs root to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	out := outdir.Dir(filepath.Join(disk, "out"))
	journal := func(ctx context.Context, dir string) (store.Store, error) {
		return jetstream.Open(ctx, dir, jetstream.Options{Reserve: 4 << 20})
	}
	for range 4 { // more often than an item may be lost
		s := r.run(t, func(o *batch.Options) { o.Out, o.OpenJournal = out, journal })
		if s.State != progress.Stopped || !strings.Contains(s.Reason, "disk") || s.Fix == "" {
			t.Fatalf("summary with a full disk: %+v", s)
		}
	}
	if err := unix.Mount("brig-test", disk, "tmpfs", unix.MS_REMOUNT, "size=256M"); err != nil {
		t.Fatal(err)
	}
	s := r.run(t, func(o *batch.Options) { o.Out, o.OpenJournal = out, journal })
	if s.State != progress.Finished || s.OK != 60 || len(readResults(t, out)) != 60 {
		t.Errorf("with room again: %+v, %d results", s, len(readResults(t, out)))
	}
}

// TestNothingHalfDone makes runs fail before they begin.
func TestNothingHalfDone(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*batch.Options)
		code   api.Code
	}{
		"no input":    {func(o *batch.Options) { o.Input += ".no" }, api.CodeNotFound},
		"no template": {func(o *batch.Options) { o.Template = "nope" }, api.CodeNotFound},
		"no rung":     {func(o *batch.Options) { o.Isolation = "microvm" }, api.CodeUnavailable},
		"bad glob":    {func(o *batch.Options) { o.Artifacts = []string{"../*"} }, api.CodeInvalid},
		"bad limits":  {func(o *batch.Options) { o.Limits.MemoryBytes = 1 }, api.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, goods(1)...)
			o := r.options
			tc.change(&o)
			if _, err := batch.Run(t.Context(), o); api.CodeOf(err) != tc.code || api.FixOf(err) == "" {
				t.Errorf("%v (%s, fix %q), want %s", err, api.CodeOf(err), api.FixOf(err), tc.code)
			}
			if _, err := os.Stat(string(o.Out)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the output directory exists: %v", err)
			}
		})
	}
}
