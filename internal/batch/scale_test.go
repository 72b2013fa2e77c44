package batch_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
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

// fromEnv is the size of a test: a number in the environment, or small.
func fromEnv(t *testing.T, name string, small int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return small
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestScale streams many items through the engine, journal included. How many
// is BRIG_TEST_ITEMS, 3000 unless told. With -v it says how fast, and what the
// process's memory was at most.
func TestScale(t *testing.T) {
	n := fromEnv(t, "BRIG_TEST_ITEMS", 3000)
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
	forgetPeak(t)
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

// forgetPeak begins to measure peakMemory anew, without what the test itself took.
func forgetPeak(t *testing.T) {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Logf("the peak includes what the test itself took: %v", err)
	}
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

// TestLargeInput streams an input of many megabytes with every kind of bad line
// in it: each is named, and the rest runs. How large is BRIG_TEST_INPUT_MB, 16
// unless told.
func TestLargeInput(t *testing.T) {
	megabytes := fromEnv(t, "BRIG_TEST_INPUT_MB", 16)
	r := newRig(t)
	r.options.Host = nullHost{}
	f, err := os.Create(r.options.Input)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	line, good, size := 0, int64(0), 0
	bad := map[int]string{}
	put := func(reason, text string) {
		line++
		size += len(text)
		fmt.Fprintln(w, text)
		if reason != "" {
			bad[line] = reason
		} else {
			good++
		}
	}
	put("", "\xef\xbb\xbf"+`{"custom_id": "first", "code": "x"}`)
	put("", fmt.Sprintf(`{"custom_id": "big", "code": %q}`, strings.Repeat("print('x')\n", 10<<20/11)))
	code := strings.Repeat("# so that there are fewer lines than bytes\n", 400)
	for i := 0; size < megabytes<<20; i++ {
		put("", fmt.Sprintf(`{"custom_id": "item-%d", "code": %q}`, i, code))
		switch i % 100 {
		case 17:
			put("not JSON", `{"custom_id": "torn`)
		case 34:
			put("was used before", fmt.Sprintf(`{"custom_id": "item-%d", "code": "again"}`, i/2))
		case 51:
			put("not UTF-8", "{\"custom_id\": \"\xff\"}")
		case 68:
			put("code is missing", `{"custom_id": "empty"}`)
		}
	}
	put("the cap is", `{"custom_id": "huge", "code": "`+strings.Repeat("x", input.DefaultMaxLine)+`"}`)
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	forgetPeak(t)
	s := r.run(t)
	t.Logf("%d MB, %d items, %d ms, peak memory %s", size>>20, s.Items, s.WallMS, peakMemory(t))
	if s.OK != good || s.Rejected != int64(len(bad)) {
		t.Errorf("%d ok and %d rejected, want %d and %d", s.OK, s.Rejected, good, len(bad))
	}
	b, err := os.ReadFile(r.options.Out.Rejected())
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(b)) {
		var rej input.Rejected
		if err := json.Unmarshal([]byte(text), &rej); err != nil {
			t.Fatal(err)
		}
		if want, ok := bad[int(rej.Line)]; !ok || !strings.Contains(rej.Reason, want) {
			t.Errorf("line %d was rejected for %q, want %q", rej.Line, rej.Reason, want)
		}
		delete(bad, int(rej.Line))
	}
	if len(bad) > 0 {
		t.Errorf("not named: %v", bad)
	}
}
