package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const cgroup2Magic = 0x63677270

// openV2 makes the parent in the unified hierarchy, or nil when this host has
// v1 or a hybrid of both (whose unified tree has no controllers).
func openV2(root, name string) *Tree {
	var st syscall.Statfs_t
	if syscall.Statfs(root, &st) != nil || st.Type != cgroup2Magic {
		return nil
	}
	base := filepath.Join(root, strings.TrimPrefix(ownGroups()[""], "/"))
	// "No internal processes": a group that holds processes cannot hand its
	// controllers to children. Beside our own group there is room.
	for _, at := range []string{base, filepath.Dir(base)} {
		dir := filepath.Join(at, name)
		if !strings.HasPrefix(at, root) || os.MkdirAll(dir, 0o755) != nil {
			continue
		}
		enable(at)
		enable(dir)
		if controllers, _ := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control")); strings.Contains(string(controllers), "memory") {
			return &Tree{v2: true, parent: map[string]string{"": dir}}
		}
		_ = os.Remove(dir)
	}
	return &Tree{v2: true, parent: map[string]string{}}
}

// enable hands controllers down, one at a time: one that is missing must not
// keep the others out.
func enable(dir string) {
	for _, c := range []string{"+memory", "+pids", "+cpu"} {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(c), 0)
	}
}

func (g *Group) setV2(l Limits) error {
	dir, ok := g.dir[""]
	if !ok {
		return nil
	}
	w := func(file, v string) error {
		err := os.WriteFile(filepath.Join(dir, file), []byte(v), 0)
		if os.IsNotExist(err) { // the controller is not ours: Controllers says so
			return nil
		}
		return err
	}
	if l.MemoryBytes > 0 {
		if err := w("memory.max", strconv.FormatInt(l.MemoryBytes, 10)); err != nil {
			return err
		}
		_ = w("memory.swap.max", "0")
	}
	if l.PIDs > 0 {
		if err := w("pids.max", strconv.Itoa(l.PIDs)); err != nil {
			return err
		}
	}
	if l.CPUs > 0 {
		return w("cpu.max", strconv.FormatInt(max(int64(l.CPUs*100_000), 1000), 10)+" 100000")
	}
	return nil
}

// OpenV2 opens the group's directory for CLONE_INTO_CGROUP.
func (g *Group) OpenV2() (*os.File, error) { return os.Open(g.dir[""]) }

func (g *Group) usageV2() Usage {
	dir, ok := g.dir[""]
	if !ok {
		return Usage{}
	}
	return Usage{
		CPU:             time.Duration(readKey(filepath.Join(dir, "cpu.stat"), "usage_usec")) * time.Microsecond,
		MemoryBytes:     readInt(filepath.Join(dir, "memory.current")),
		PeakMemoryBytes: readInt(filepath.Join(dir, "memory.peak")),
		OOMKills:        readKey(filepath.Join(dir, "memory.events"), "oom_kill"),
		PIDsRefused:     readKey(filepath.Join(dir, "pids.events"), "max"),
	}
}

// IntoV2 makes a child start in the group that dir is; see OpenV2.
func (g *Group) IntoV2(dir *os.File) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
}
