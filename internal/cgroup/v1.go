package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

var v1Controllers = []string{"memory", "pids", "cpu", "cpuacct"}

// openV1 makes the parent in every v1 hierarchy that takes it.
func openV1(root, name string) *Tree {
	t := &Tree{parent: map[string]string{}, home: map[string]string{}}
	own := ownGroups()
	for _, c := range v1Controllers {
		dir := filepath.Join(root, c, own[c], name)
		if os.MkdirAll(dir, 0o755) != nil {
			continue
		}
		// Only a hierarchy that lets us move ourselves is of use.
		f, err := os.OpenFile(filepath.Join(dir, "tasks"), os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		f.Close()
		if c == "memory" {
			_ = os.WriteFile(filepath.Join(dir, "memory.use_hierarchy"), []byte("1"), 0)
		}
		t.parent[c], t.home[c] = dir, filepath.Dir(dir)
	}
	return t
}

// ownGroups reads which group this process is in, per v1 controller.
func ownGroups() map[string]string {
	out := map[string]string{}
	b, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, c := range strings.Split(parts[1], ",") {
			out[c] = parts[2]
		}
	}
	return out
}

func (g *Group) setV1(l Limits) error {
	w := func(controller, file string, v int64) error {
		dir, ok := g.dir[controller]
		if !ok || v == 0 {
			return nil
		}
		return os.WriteFile(filepath.Join(dir, file), strconv.AppendInt(nil, v, 10), 0)
	}
	if err := w("memory", "memory.limit_in_bytes", l.MemoryBytes); err != nil {
		return err
	}
	// Absent when the kernel does not account for swap; then there is none to use.
	_ = w("memory", "memory.memsw.limit_in_bytes", l.MemoryBytes)
	if err := w("pids", "pids.max", int64(l.PIDs)); err != nil {
		return err
	}
	if l.CPUs > 0 {
		if err := w("cpu", "cpu.cfs_period_us", 100_000); err != nil {
			return err
		}
		return w("cpu", "cpu.cfs_quota_us", max(int64(l.CPUs*100_000), 1000))
	}
	return nil
}

// EnterV1 moves the calling thread (not the process) into the group; the
// caller holds the thread. A child that it forks then starts there.
func (g *Group) EnterV1() error {
	for _, d := range g.dirs() {
		if err := os.WriteFile(filepath.Join(d, "tasks"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}

// LeaveV1 moves the calling thread back to where it came from.
func (t *Tree) LeaveV1() error {
	for _, d := range t.home {
		if err := os.WriteFile(filepath.Join(d, "tasks"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) usageV1() Usage {
	mem, pids, acct := g.dir["memory"], g.dir["pids"], g.dir["cpuacct"]
	var u Usage
	if acct != "" {
		u.CPU = time.Duration(readInt(filepath.Join(acct, "cpuacct.usage")))
	}
	if mem != "" {
		u.MemoryBytes = readInt(filepath.Join(mem, "memory.usage_in_bytes"))
		u.PeakMemoryBytes = readInt(filepath.Join(mem, "memory.max_usage_in_bytes"))
		u.OOMKills = readKey(filepath.Join(mem, "memory.oom_control"), "oom_kill")
	}
	if pids != "" {
		u.PIDsRefused = readKey(filepath.Join(pids, "pids.events"), "max")
	}
	return u
}

// Usage reads the group's accounting.
func (g *Group) Usage() Usage {
	if g.v2 {
		return g.usageV2()
	}
	return g.usageV1()
}

// Path is the group below its hierarchy's mount, as an OCI runtime wants it. Where
// the hierarchies differ it is that of the processor time.
func (g *Group) Path() string {
	for _, c := range append([]string{"cpuacct"}, v1Controllers...) {
		if d, ok := g.dir[c]; ok {
			if rel, err := filepath.Rel(filepath.Join(v1Root, c), d); err == nil {
				return "/" + rel
			}
		}
	}
	return ""
}
