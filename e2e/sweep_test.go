package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sweepPoints is at how many moments of an operation a sweep kills it.
func sweepPoints() int {
	if soak {
		return 40
	}
	return 4
}

// killServer kills the background server of this test's state directory, and
// waits until it is dead.
func killServer(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(os.Getenv("BRIG_STATE"), "serve.lock"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the server is dead, even if whoever adopted it has not reaped it", func() bool {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(b), ") Z ")
	})
}

// TestSweep kills the server at moments spread over a snapshot, a fork, a
// hibernation and a wake. Whatever is listed afterwards can be used, doing it
// again succeeds, and session's cleanup finds nothing left.
func TestSweep(t *testing.T) {
	session(t)
	tag := fmt.Sprintf("e2e-sweep-%d", os.Getpid())
	defer removeSnapshots(t, tag)
	for _, op := range []struct {
		name string
		args func(id string) []string
	}{
		{"snapshot", func(id string) []string { return []string{"snapshot", "create", id, "--name", tag} }},
		{"fork", func(id string) []string { return []string{"fork", id, "-n", "3"} }},
		{"hibernate", func(id string) []string { return []string{"sandbox", "hibernate", id} }},
		{"wake", func(id string) []string { return []string{"sandbox", "resume", id} }},
	} {
		t.Run(op.name, func(t *testing.T) {
			parent := func() string {
				id := ok(t, "sandbox", "create", "--template", "python")
				runIn(t, id, "echo kept > /work/file")
				if op.name == "wake" {
					ok(t, "sandbox", "hibernate", id)
				}
				return id
			}
			ok(t, op.args(parent())...) // the first of its kind takes longer
			id := parent()
			begin := time.Now()
			ok(t, op.args(id)...)
			took := time.Since(begin)
			for i := range sweepPoints() {
				id := parent()
				cmd := brig(t.Context(), op.args(id)...)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(took * time.Duration(i) / time.Duration(sweepPoints()))
				killServer(t)
				_ = cmd.Wait()
				usable(t, tag)
				if op.name == "wake" {
					keptOrWoken(t, i, id)
				}
				again := parent()
				ok(t, op.args(again)...)
				if got := runIn(t, again, "cat /work/file"); got != "kept" {
					t.Errorf("point %d: doing it again: %q", i, got)
				}
				for _, old := range listed(t, "sandbox", "") {
					ok(t, "sandbox", "rm", old)
				}
			}
		})
	}
}

// keptOrWoken wants the file of a sandbox that was hibernated, unless its waking was
// over before the kill: then it has ended with its server, and says so.
func keptOrWoken(t *testing.T, point int, id string) {
	t.Helper()
	out := run(t, "", "sandbox", "exec", id, "--", "cat", "/work/file")
	if ended := point > 0 && strings.Contains(out.stderr, "server restarted"); !ended && (out.code != 0 || out.stdout != "kept\n") {
		t.Errorf("point %d: the hibernated one: %+v", point, out)
	}
}

// listed is the ids of the sandboxes or snapshots with this name.
func listed(t *testing.T, noun, name string) (ids []string) {
	t.Helper()
	var list []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(ok(t, noun, "ls", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if x.Name == name {
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// usable restores every snapshot that is listed under name, and removes it.
func usable(t *testing.T, name string) {
	t.Helper()
	for _, id := range listed(t, "snapshot", name) {
		box := ok(t, "sandbox", "create", "--from-snapshot", id)
		if got := runIn(t, box, "cat /work/file"); got != "kept" {
			t.Errorf("snapshot %s has %q", id, got)
		}
		ok(t, "sandbox", "rm", box)
		ok(t, "snapshot", "rm", id)
	}
}

func removeSnapshots(t *testing.T, name string) {
	for _, id := range listed(t, "snapshot", name) {
		ok(t, "snapshot", "rm", id)
	}
}

// TestSweepBake kills the build of a template, its bake included, at moments
// spread over it: a template is there whole or not at all, and building again
// succeeds.
func TestSweepBake(t *testing.T) {
	needPython(t)
	file, state := buildDir(t)
	if err := os.WriteFile(file, []byte("FROM python\nARG ID\nRUN echo $ID > /id\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("e2e-bake-%d", os.Getpid())
	defer run(t, "", "template", "rm", name)
	build := func(id int) []string {
		return []string{"template", "build", name, "--file", file, "--build-arg", fmt.Sprintf("ID=%d-%d", os.Getpid(), id)}
	}
	ok(t, build(-1)...)
	begin := time.Now()
	ok(t, build(-2)...)
	took := time.Since(begin)
	ok(t, "gc")
	before := census(t, state)
	for i := range sweepPoints() {
		killAfter(t, took*time.Duration(i)/time.Duration(sweepPoints()), build(i)...)
		script := "cat /id && python3 -c 'print(6 * 7)'"
		if got := ok(t, "run", "--template", name, "--", "sh", "-c", script); !strings.HasSuffix(got, "\n42") {
			t.Errorf("point %d: %q", i, got)
		}
		ok(t, build(i)...)
		if got := ok(t, "run", "--template", name, "--", "cat", "/id"); got != fmt.Sprintf("%d-%d", os.Getpid(), i) {
			t.Errorf("point %d: after building again: %q", i, got)
		}
		ok(t, "gc")
		if after := census(t, state); !slices.Equal(before, after) {
			t.Errorf("point %d: left behind: %v", i, difference(after, before))
		}
	}
}
