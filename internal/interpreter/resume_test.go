package interpreter

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// restored is a session whose snapshot brought one kernel along: attaching starts
// it, in the state that the warm-up of a bake leaves.
type restored struct{ *local }

func (r restored) Attach(ctx context.Context, _ int, spec api.ExecSpec, std host.Stdio) (host.Process, error) {
	return r.Start(ctx, spec, std)
}

// Two kernels that a seed was given draw different numbers, and have their
// environment; what the snapshot's stream had left over is skipped.
func TestResume(t *testing.T) {
	for language, code := range map[string]string{
		kernel.Python:     "import os, random, uuid, tempfile; (os.environ['Q'], random.random(), uuid.uuid4().hex, tempfile.mktemp())",
		kernel.JavaScript: "[process.env.Q, Math.random(), crypto.randomUUID(), require('crypto').randomInt(2 ** 40)]",
	} {
		r := restored{newLocal(t, language)}
		seen := map[string]bool{}
		for range 2 {
			k, err := Resume(t.Context(), r, api.KernelRef{ID: "a", Language: language, PID: 1}, Options{Env: map[string]string{"Q": "env"}})
			if err != nil {
				t.Fatal(err)
			}
			run(t, k, map[bool]string{true: "import random", false: "0"}[language == kernel.Python], RunOptions{})
			text := mainText(run(t, k, code, RunOptions{}))
			if !strings.Contains(text, "env") || seen[text] {
				t.Errorf("%s: a resumed kernel draws %s", language, text)
			}
			seen[text] = true
			if k.Ref().ID != "a" {
				t.Errorf("it is now session %q", k.Ref().ID)
			}
			if err := k.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
	}
}

// The bounds hold against a kernel that keeps none.
func TestHostsLimits(t *testing.T) {
	c := newCell(RunOptions{OutputBytes: 10, ResultBytes: 1000}.withDefaults())
	c.take(kernel.Event{Type: kernel.TypeStdout, Text: "123456789é"})
	c.take(kernel.Event{Type: kernel.TypeStderr, Text: "more"})
	for range maxResults + 5 {
		c.take(kernel.Event{Type: kernel.TypeResult, Data: map[string]string{"text/plain": "x"}})
	}
	c.take(kernel.Event{Type: kernel.TypeResult, Data: map[string]string{strings.Repeat("x", 200): "x"}})
	c.take(kernel.Event{Type: kernel.TypeError, Name: strings.Repeat("n", 9999), Traceback: strings.Repeat("t", 1<<20)})
	x := c.finish()
	if x.Stdout != "123456789" || x.Stderr != "" || !x.Truncated || len(x.Results) != maxResults {
		t.Errorf("%d results, output %q and %q, truncated %v", len(x.Results), x.Stdout, x.Stderr, x.Truncated)
	}
	if len(x.Error.Name) != maxErrorName || len(x.Error.Traceback) != maxErrorText {
		t.Errorf("an error of %d and %d bytes", len(x.Error.Name), len(x.Error.Traceback))
	}
}

// dead is a session whose kernel had ended at the snapshot.
type dead struct{ *local }

func (dead) Attach(context.Context, int, api.ExecSpec, host.Stdio) (host.Process, error) {
	return nil, api.Errorf(api.CodeNotFound, "cannot attach: because no such program came with the snapshot")
}

// A kernel that had died at the snapshot does not keep its sandbox from being
// restored: the session is there, and empty.
func TestResumeOfADeadKernel(t *testing.T) {
	k, err := Resume(t.Context(), dead{newLocal(t, kernel.Python)}, api.KernelRef{ID: "a", Language: kernel.Python, PID: 9}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close(context.WithoutCancel(t.Context()))
	if got := mainText(run(t, k, "6 * 7", RunOptions{})); got != "42" || k.Ref().ID != "a" {
		t.Errorf("session %q gives %q", k.Ref().ID, got)
	}
}

// A cell that was busy at the snapshot and does not heed the interrupt loses its
// kernel, and not the sandbox.
func TestResumeOfADeafKernel(t *testing.T) {
	k, err := Resume(t.Context(), deaf{newLocal(t, kernel.Python)}, api.KernelRef{ID: "a", Language: kernel.Python, PID: 9, Busy: true},
		Options{Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close(context.WithoutCancel(t.Context()))
	if got := mainText(run(t, k, "6 * 7", RunOptions{})); got != "42" {
		t.Errorf("the session gives %q", got)
	}
}

// deaf is a session whose kernel says nothing.
type deaf struct{ *local }

func (d deaf) Attach(ctx context.Context, _ int, spec api.ExecSpec, std host.Stdio) (host.Process, error) {
	spec.Argv = []string{"sh", "-c", "trap '' INT; while :; do sleep 1; done"}
	return d.Start(ctx, spec, std)
}
