package batch_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/host"
)

// killer is a host whose sandboxes take the whole process with them when their
// program says so.
type killer struct{ host.Host }

type killerSandbox struct {
	host.Sandbox
	fatal bool
}

func (k killer) Create(ctx context.Context, spec api.SandboxSpec) (host.Sandbox, error) {
	sb, err := k.Host.Create(ctx, spec)
	return &killerSandbox{Sandbox: sb}, err
}

func (s *killerSandbox) Put(ctx context.Context, path string, mode os.FileMode, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.fatal = s.fatal || strings.Contains(string(b), "kill brig")
	return s.Sandbox.Put(ctx, path, mode, strings.NewReader(string(b)))
}

func (s *killerSandbox) Exec(ctx context.Context, spec api.ExecSpec, stdio host.Stdio) (api.ExecResult, error) {
	if s.fatal {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return s.Sandbox.Exec(ctx, spec, stdio)
}

// TestChild is no test of its own: it is the brig that other tests run as a
// process, to kill it. It prints a line for each result.
func TestChild(t *testing.T) {
	in, out := os.Getenv("BRIG_TEST_INPUT"), os.Getenv("BRIG_TEST_OUTPUT")
	if in == "" {
		t.Skip("is run as a process by the tests that kill one")
	}
	r := newRig(t)
	r.options.Input, r.options.Out = in, outdir.Dir(out)
	r.options.Host = killer{r.host}
	r.options.UI = &recorder{onItem: func(res api.ItemResult) { fmt.Printf("result %s\n", res.CustomID) }}
	r.run(t)
	fmt.Println("finished")
}

// child runs the batch in a process and kills it after so many results; 0 waits
// for its own end. It tells whether the batch was finished.
func child(t *testing.T, in string, out outdir.Dir, killAfter int) (finished bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), "BRIG_TEST_INPUT="+in, "BRIG_TEST_OUTPUT="+string(out),
		"TMPDIR="+t.TempDir()) // one that is killed can't remove its own
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for s, n := bufio.NewScanner(stdout), 0; s.Scan(); {
		fmt.Fprintln(&said, s.Text())
		finished = finished || s.Text() == "finished"
		if strings.HasPrefix(s.Text(), "result ") {
			if n++; n == killAfter {
				time.Sleep(rand.N(3 * time.Millisecond)) // anywhere in the next item
				_ = cmd.Process.Kill()
			}
		}
	}
	err = cmd.Wait()
	if killed := cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled(); !finished && !killed {
		t.Fatalf("the child ended by itself: %v\n%s%s", err, said.String(), stderr.String())
	}
	return finished
}

// TestSurvivesKill kills a batch ten times at random moments. It ends with the
// same results as one that nobody disturbed.
func TestSurvivesKill(t *testing.T) {
	lines := goods(190)
	for i := range 10 {
		lines = append(lines, item(fmt.Sprintf("bad-%d", i), fmt.Sprintf("stderr broken %d", i), "exit 1"))
	}
	r := newRig(t, lines...)
	undisturbed := outdir.Dir(r.dir + "/undisturbed")
	r.run(t, func(o *batch.Options) { o.Out = undisturbed })

	kills := 0
	for !child(t, r.options.Input, r.options.Out, killWhen(kills)) {
		if kills++; kills > 20 {
			t.Fatal("the batch does not end")
		}
	}
	if kills != 10 {
		t.Errorf("killed %d times, want 10", kills)
	}
	got, want := r.results(t), readResults(t, undisturbed)
	if diff := cmp.Diff(want, got, sameResult()); diff != "" {
		t.Errorf("results differ from those of an undisturbed run (-want +got):\n%s", diff)
	}
	if len(got) != len(lines) {
		t.Errorf("%d results, want %d", len(got), len(lines))
	}
}

// killWhen chooses after how many results to kill; not any more after ten kills.
func killWhen(kills int) int {
	if kills >= 10 {
		return 0
	}
	return 1 + rand.IntN(15)
}

// sameResult compares results but for what no two runs have in common.
func sameResult() cmp.Options {
	return cmp.Options{
		cmpopts.IgnoreFields(api.ItemResult{}, "Sandbox", "Usage"),
		cmpopts.IgnoreFields(api.Attempt{}, "WallMS"),
		cmpopts.IgnoreUnexported(api.Error{}),
	}
}

// TestQuarantine has an item that kills its worker each time. The others get
// their results, and it gets one that says so.
func TestQuarantine(t *testing.T) {
	lines := append([]string{item("poison", "# kill brig")}, goods(30)...)
	r := newRig(t, lines...)
	deaths := 0
	for !child(t, r.options.Input, r.options.Out, 0) {
		if deaths++; deaths > 5 {
			t.Fatal("the batch does not end")
		}
	}
	got := r.results(t)
	poison := got["poison"]
	if poison.Verdict != api.Infra || poison.Error == nil || !strings.Contains(poison.Error.Message, "brig died 5 times") {
		t.Errorf("poison: %+v (%+v)", poison, poison.Error)
	}
	if deaths != 5 || len(got) != 31 {
		t.Errorf("%d deaths and %d results, want 5 and 31", deaths, len(got))
	}
	for id, res := range got {
		if id != "poison" && !res.OK {
			t.Errorf("%s: %s", id, res.Verdict)
		}
	}
}
