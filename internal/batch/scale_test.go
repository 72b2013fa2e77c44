package batch_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// nullHost makes sandboxes that do nothing: what is left is the engine.
type nullHost struct{}

type nullSandbox struct{}

func (nullHost) Create(context.Context, api.SandboxSpec) (host.Sandbox, error) {
	return nullSandbox{}, nil
}
func (nullHost) List() []api.SandboxInfo     { return nil }
func (nullHost) Close(context.Context) error { return nil }

func (nullSandbox) Info() api.SandboxInfo {
	return api.SandboxInfo{ID: "null", Isolation: api.RungGVisor, Template: "null"}
}

func (nullSandbox) Put(_ context.Context, _ string, _ fs.FileMode, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func (nullSandbox) Get(_ context.Context, _ string, _ int64, w io.Writer) (api.FileInfo, error) {
	_, err := io.WriteString(w, `{"total": 17.5, "currency": "EUR", "lines": [1, 2, 3]}`)
	return api.FileInfo{}, err
}

func (nullSandbox) List(context.Context, string, int) ([]api.FileInfo, error) { return nil, nil }

func (nullSandbox) Exec(_ context.Context, _ api.ExecSpec, stdio host.Stdio) (api.ExecResult, error) {
	_, err := io.WriteString(stdio.Stdout, "read 3 lines\n")
	code := 0
	return api.ExecResult{Verdict: api.OK, ExitCode: &code}, err
}

func (nullSandbox) Reset(context.Context) error   { return nil }
func (nullSandbox) Destroy(context.Context) error { return nil }

// TestScale streams many items through the engine, journal included. How many
// is BRIG_TEST_ITEMS, 3000 unless told. With -v it says how fast, and what the
// process's memory was at most.
func TestScale(t *testing.T) {
	n := 3000
	if s := os.Getenv("BRIG_TEST_ITEMS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t)
	r.options.Host = nullHost{}
	f, err := os.Create(r.options.Input)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	code := strings.Repeat("# a line of code that does something\n", 20)
	for i := range n {
		fmt.Fprintf(w, `{"custom_id": "item-%d", "code": %q, "input": {"n": %d}}`+"\n", i, code, i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s := r.run(t)
	if s.Done != int64(n) || s.OK != int64(n) {
		t.Errorf("%d done, %d ok of %d", s.Done, s.OK, n)
	}
	t.Logf("%d items, %.0f items/s, peak memory %s", n, s.Rate, peakMemory(t))
	again := r.run(t)
	if again.Ran != 0 || again.Done != int64(n) {
		t.Errorf("the second run: %+v", again)
	}
	t.Logf("resumed with nothing to do in %d ms, peak memory %s", again.WallMS, peakMemory(t))
}

// peakMemory reads the most memory that this process has had.
func peakMemory(t *testing.T) string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
