package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestGroup makes a real group, runs a process in it and removes both.
func TestGroup(t *testing.T) {
	tree := Open(fmt.Sprintf("brig-test-%d", os.Getpid()))
	if len(tree.Controllers()) == 0 {
		t.Skip("no cgroup here that this user can write to")
	}
	defer tree.Close()
	g, err := tree.Create("one", Limits{MemoryBytes: 64 << 20, PIDs: 50, CPUs: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if got := tree.List(); len(got) != 1 || got[0] != "one" {
		t.Errorf("groups %v", got)
	}
	cmd := startIn(t, tree, g)
	if got := g.Procs(); len(got) != 1 || got[0] != cmd.Process.Pid {
		t.Errorf("processes %v, want %d", got, cmd.Process.Pid)
	}
	g.Kill()
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended by itself")
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	if got := tree.List(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if err := g.Remove(); err != nil {
		t.Errorf("a second Remove: %v", err)
	}
}

func startIn(t *testing.T, tree *Tree, g *Group) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if tree.V2() {
		dir, err := g.OpenV2()
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		cmd.SysProcAttr = g.IntoV2(dir)
	} else {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := g.EnterV1(); err != nil {
			t.Fatal(err)
		}
		defer tree.LeaveV1()
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestV2Files checks what is written and read, on a directory that looks like a
// v2 group: few machines have both versions.
func TestV2Files(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"memory.max": "", "memory.swap.max": "", "pids.max": "", "cpu.max": "", "cpu.weight": "",
		"cpu.stat": "usage_usec 2500\nuser_usec 2000\n", "memory.current": "4096\n", "memory.peak": "8192\n",
		"memory.events": "low 0\noom 2\noom_kill 1\n", "pids.events": "max 7\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g := &Group{v2: true, dir: map[string]string{"": dir}}
	if err := g.set(Limits{MemoryBytes: 1 << 20, PIDs: 5, CPUs: 1.5}); err != nil {
		t.Fatal(err)
	}
	if err := g.SetBackground(true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"memory.max": "1048576", "memory.swap.max": "0", "pids.max": "5", "cpu.max": "150000 100000", "cpu.weight": "2",
	} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want := Usage{CPU: 2500 * time.Microsecond, MemoryBytes: 4096, PeakMemoryBytes: 8192, OOMKills: 1, PIDsRefused: 7}
	if got := g.Usage(); got != want {
		t.Errorf("usage %+v, want %+v", got, want)
	}
}

// TestNoCgroup: a tree without controllers does nothing, and fails nowhere.
func TestNoCgroup(t *testing.T) {
	tree := &Tree{}
	g, err := tree.Create("x", Limits{MemoryBytes: 1, PIDs: 1, CPUs: 1})
	if err != nil || len(tree.Controllers()) != 0 || len(g.Procs()) != 0 || g.Remove() != nil {
		t.Errorf("%v %v", err, tree.Controllers())
	}
}
