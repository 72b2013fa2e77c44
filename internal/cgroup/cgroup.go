// Package cgroup limits and accounts for the processes of one box, on cgroup v1
// and v2, whichever this host has and lets us write to. It writes the kernel's
// files itself: ten files do not need a library.
//
// Sources: Linux Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Limits of one group. Zero means no limit.
type Limits struct {
	MemoryBytes int64
	PIDs        int
	CPUs        float64
}

// Usage is what the processes of a group have used.
type Usage struct {
	CPU             time.Duration
	MemoryBytes     int64
	PeakMemoryBytes int64
	OOMKills        int64
	PIDsRefused     int64 // forks that the host's pids limit refused
}

// Tree makes groups under one parent. A controller that this host does not let
// us use is missing from Controllers, and its limit is then not enforced here.
type Tree struct {
	v2     bool
	parent map[string]string // v1: controller → directory; v2: "" → directory
	home   map[string]string // v1: controller → the group that we came from
}

const v1Root, v2Root = "/sys/fs/cgroup", "/sys/fs/cgroup"

// Open finds what this host offers and makes the parent directory name below
// the calling process's own group. A host with no writable cgroup gives a Tree
// without controllers, not an error.
func Open(name string) *Tree {
	if t := openV2(v2Root, name); t != nil {
		return t
	}
	return openV1(v1Root, name)
}

// Controllers lists what is enforced: some of "memory", "pids", "cpu",
// "cpuacct" (time is accounted for).
func (t *Tree) Controllers() []string {
	if !t.v2 {
		var out []string
		for c := range t.parent {
			out = append(out, c)
		}
		slices.Sort(out)
		return out
	}
	if len(t.parent) == 0 {
		return nil
	}
	b, _ := os.ReadFile(filepath.Join(t.parent[""], "cgroup.controllers"))
	return append(strings.Fields(string(b)), "cpuacct")
}

// Has tells whether a controller is enforced.
func (t *Tree) Has(controller string) bool { return slices.Contains(t.Controllers(), controller) }

// V2 tells which version this is.
func (t *Tree) V2() bool { return t.v2 }

// List names the groups that exist.
func (t *Tree) List() []string {
	var out []string
	for _, dir := range t.parent {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.IsDir() && !slices.Contains(out, e.Name()) {
				out = append(out, e.Name())
			}
		}
	}
	return out
}

// Close removes the parent if no group is left in it, of this process or of
// another one.
func (t *Tree) Close() {
	for _, dir := range t.parent {
		_ = syscall.Rmdir(dir)
	}
}

// Create makes the group id with its limits.
func (t *Tree) Create(id string, l Limits) (*Group, error) {
	g, err := t.create(id, l)
	if errors.Is(err, fs.ErrNotExist) { // another process closed its tree just now
		for _, dir := range t.parent {
			if os.MkdirAll(dir, 0o755) == nil && t.v2 {
				enable(dir)
			}
		}
		return t.create(id, l)
	}
	return g, err
}

func (t *Tree) create(id string, l Limits) (*Group, error) {
	g := t.Group(id)
	for _, dir := range g.dirs() {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			g.Remove()
			return nil, err
		}
	}
	if err := g.set(l); err != nil {
		g.Remove()
		return nil, err
	}
	return g, nil
}

// Group gives a group by its id, whether it exists or not.
func (t *Tree) Group(id string) *Group {
	g := &Group{v2: t.v2, dir: map[string]string{}}
	for c, p := range t.parent {
		g.dir[c] = filepath.Join(p, id)
	}
	return g
}

// Group is the group of one box.
type Group struct {
	v2  bool
	dir map[string]string
}

func (g *Group) dirs() []string {
	var out []string
	for _, d := range g.dir {
		if !slices.Contains(out, d) { // cpu and cpuacct are often one
			out = append(out, d)
		}
	}
	return out
}

func (g *Group) set(l Limits) error {
	if g.v2 {
		return g.setV2(l)
	}
	return g.setV1(l)
}

// Procs lists the processes in the group.
func (g *Group) Procs() []int {
	var out []int
	for _, d := range g.dirs() {
		b, _ := os.ReadFile(filepath.Join(d, "cgroup.procs"))
		for _, f := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil && !slices.Contains(out, pid) {
				out = append(out, pid)
			}
		}
	}
	return out
}

// Kill ends every process in the group.
func (g *Group) Kill() {
	if g.v2 && os.WriteFile(filepath.Join(g.dir[""], "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	for _, pid := range g.Procs() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// Remove kills what is in the group and removes it. A group empties a moment
// after its last process was reaped, hence the patience.
func (g *Group) Remove() error {
	var last error
	for try := 0; try < 400; try++ {
		last = nil
		for _, d := range g.dirs() {
			if err := syscall.Rmdir(d); err != nil && err != syscall.ENOENT {
				last = &fs.PathError{Op: "rmdir", Path: d, Err: err}
			}
		}
		if last == nil {
			return nil
		}
		if try%20 == 5 {
			g.Kill()
		}
		time.Sleep(time.Duration(min(1+try/4, 10)) * time.Millisecond)
	}
	return last
}

func readInt(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// readKey reads a line "key value" of a flat keyed file.
func readKey(path, key string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// SetCPUs limits processor time from now on.
func (g *Group) SetCPUs(cpus float64) error { return g.set(Limits{CPUs: cpus}) }

// TotalCPU is the processor time of all groups of this tree so far, of those
// that are gone as well; false where the kernel does not account for it.
func (t *Tree) TotalCPU() (time.Duration, bool) {
	if dir, ok := t.parent["cpuacct"]; ok {
		return time.Duration(readInt(filepath.Join(dir, "cpuacct.usage"))), true
	}
	if dir, ok := t.parent[""]; ok && t.v2 {
		return time.Duration(readKey(filepath.Join(dir, "cpu.stat"), "usage_usec")) * time.Microsecond, true
	}
	return 0, false
}

// SetBackground makes the group yield the processor to all others, or take its
// ordinary share again.
func (g *Group) SetBackground(on bool) error {
	dir, file, value := g.dir["cpu"], "cpu.shares", "1024"
	if g.v2 {
		dir, file, value = g.dir[""], "cpu.weight", "100"
	}
	if dir == "" {
		return nil
	}
	if on {
		value = "2"
	}
	err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0)
	if errors.Is(err, fs.ErrNotExist) { // the controller is not ours
		return nil
	}
	return err
}
