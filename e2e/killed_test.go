package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

// soak makes tests as large as the promise that they prove; without it they are
// the same in small.
var soak = os.Getenv("BRIG_SOAK") != ""

// TestKilledBatch kills a batch at random moments, again and again. At the end
// there is one result for every item, the same as in an undisturbed run, and
// nothing of Brig's is left on the machine.
func TestKilledBatch(t *testing.T) {
	needPython(t)
	items, kills := 60, 5
	if soak {
		items, kills = 2000, 20
	}
	dir := t.TempDir()
	input := filepath.Join(dir, "items.jsonl")
	writeItems(t, input, mixedItems(items))
	// Its own state directory: what is left in it is ours. One run before, so
	// that what every run leaves (two empty directories) is there.
	state := filepath.Join(dir, "state")
	t.Setenv("BRIG_STATE", state)
	run(t, "", "run", "--template", "python", "--", "true")
	before := census(t, state)

	calm, disturbed := filepath.Join(dir, "calm"), filepath.Join(dir, "disturbed")
	start := time.Now()
	if o := run3(t, "batch", "run", input, "-o", calm); o.code != 3 {
		t.Fatalf("undisturbed: exit %d: %s", o.code, o.stderr)
	}
	took := time.Since(start)
	t.Logf("undisturbed: %d items in %s", items, took.Round(time.Millisecond))

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range kills {
		killAfter(t, time.Duration(random.Int64N(int64(took)*2/int64(kills))), "batch", "run", input, "-o", disturbed)
		if i == kills/2 {
			checkReadable(t, disturbed)
		}
	}
	if o := run3(t, "batch", "run", input, "-o", disturbed); o.code != 3 {
		t.Fatalf("the last run: exit %d: %s", o.code, o.stderr)
	}
	compare(t, readResults(t, calm), readResults(t, disturbed), items)
	if after := census(t, state); !slices.Equal(before, after) {
		t.Errorf("left behind: %v", difference(after, before))
	}
}

// run3 is run with time for a soak.
func run3(t *testing.T, args ...string) output {
	t.Helper()
	cmd := brig(t.Context(), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := err.(*exec.ExitError); !ok {
			t.Fatal(err)
		}
	}
	return output{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// killAfter starts a command and kills it with SIGKILL after d, wherever it is.
func killAfter(t *testing.T, d time.Duration, args ...string) {
	t.Helper()
	cmd := brig(t.Context(), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
}

// checkReadable: partial results are whole lines, each of another item.
func checkReadable(t *testing.T, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		return // killed before there was one
	}
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		for line := range bytes.Lines(b[:i+1]) {
			if !json.Valid(line) {
				t.Errorf("a broken line amid the results: %.100q", line)
			}
		}
	}
}

func mixedItems(n int) []api.Item {
	var items []api.Item
	for i := range n {
		it := api.Item{CustomID: fmt.Sprintf("item-%05d", i), Input: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}
		switch i % 10 {
		case 3:
			it.Code = "raise SystemExit(3)"
		case 7:
			it.Language, it.Code = "sh", "echo $((0)) ; cp /work/input.json /work/result.json"
		default:
			it.Code = "import json\nn = json.load(open('/work/input.json'))['n']\nprint(n)\njson.dump({'square': n * n}, open('/work/result.json', 'w'))"
		}
		items = append(items, it)
	}
	return items
}

func compare(t *testing.T, want, got map[string]api.ItemResult, n int) {
	t.Helper()
	if len(want) != n || len(got) != n {
		t.Errorf("%d results undisturbed, %d disturbed, want %d", len(want), len(got), n)
	}
	for id, w := range want {
		g := got[id]
		if g.Verdict != w.Verdict || string(g.Result) != string(w.Result) || g.Stdout != w.Stdout {
			t.Errorf("%s: %s %s, undisturbed %s %s", id, g.Verdict, g.Result, w.Verdict, w.Result)
		}
	}
}

// census lists what Brig may leave on a machine: processes, cgroups, mounts,
// network namespaces, sockets, files.
func census(t *testing.T, state string) []string {
	t.Helper()
	var found []string
	deadline := time.Now().Add(5 * time.Second)
	for {
		found = sentryProcesses(state)
		if len(found) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(20 * time.Millisecond) // the kernel takes a moment to end what was killed
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/brig-*/*/")
	nested, _ := filepath.Glob("/sys/fs/cgroup/*/*/*/brig-*/*/")
	found = append(append(found, groups...), nested...)
	for _, file := range []string{"/proc/self/mounts", "/proc/net/unix"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, state) {
				found = append(found, line)
			}
		}
	}
	named, _ := filepath.Glob("/run/netns/*")
	found = append(found, named...)
	_ = filepath.WalkDir(state, func(path string, _ fs.DirEntry, err error) error {
		found = append(found, path)
		return nil
	})
	slices.Sort(found)
	return found
}

func sentryProcesses(state string) []string {
	var found []string
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		b, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if strings.HasPrefix(string(b), "runsc-") && strings.Contains(string(b), state) {
			found = append(found, "process "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return found
}

func difference(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
