// Package e2e runs Brig as a user does: the whole command line, real gVisor
// sandboxes, the python template. The test binary is the brig binary: started
// with BRIG_E2E=1 it is the command line, and as "runsc-sandbox" a sentry.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/cli"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
)

func TestMain(m *testing.M) {
	sentry.Dispatch()
	// A server that a command starts has no such variable.
	if os.Getenv("BRIG_E2E") == "1" || len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Unsetenv("BRIG_E2E")
		os.Exit(cli.Main(os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// brig is a command line of Brig, not yet started.
func brig(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "BRIG_E2E=1")
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output is what a finished command left.
type output struct {
	stdout, stderr string
	code           int
}

func run(t *testing.T, stdin string, args ...string) output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := brig(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("brig %s did not end: %s", strings.Join(args, " "), stderr.String())
	}
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return output{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// needPython skips when this machine cannot run the python template, and says
// why. BRIG_MUST_NOT_SKIP makes that a failure.
func needPython(t *testing.T) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("BRIG_MUST_NOT_SKIP") != "" {
		skip = t.Fatalf
	}
	out := run(t, "", "template", "inspect", "python", "--json")
	if out.code != 0 {
		skip("there is no python template here (make setup builds it): %s", out.stderr)
	}
}

// batch runs items and gives their results by id.
func batch(t *testing.T, items []api.Item, flags ...string) (map[string]api.ItemResult, output) {
	t.Helper()
	dir := t.TempDir()
	input := filepath.Join(dir, "items.jsonl")
	writeItems(t, input, items)
	out := filepath.Join(dir, "out")
	o := run(t, "", append([]string{"batch", "run", input, "-o", out}, flags...)...)
	return readResults(t, out), o
}

func writeItems(t *testing.T, path string, items []api.Item) {
	t.Helper()
	var b bytes.Buffer
	for _, it := range items {
		if err := json.NewEncoder(&b).Encode(it); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readResults(t *testing.T, dir string) map[string]api.ItemResult {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]api.ItemResult{}
	for line := range bytes.Lines(b) {
		var r api.ItemResult
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v in %.200q", err, line)
		}
		if _, twice := results[r.CustomID]; twice {
			t.Errorf("%s has two results", r.CustomID)
		}
		results[r.CustomID] = r
	}
	return results
}
