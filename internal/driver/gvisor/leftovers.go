package gvisor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/brigdev/brig/internal/cgroup"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
)

// Destroy implements driver.Driver: by id alone, for a box whose maker died at
// any step. Processes are known by their cgroup and by their arguments, never by
// a remembered pid alone.
func (d *Driver) Destroy(_ context.Context, h driver.Handle) error {
	trees := d.trees()
	d.killAll(h.ID, trees)
	if err := os.Remove(d.socketPath(h.ID)); err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, t := range trees {
		if err := t.Group(h.ID).Remove(); err != nil {
			return err
		}
		d.closeForeign(t)
	}
	return nil
}

// killAll ends every process of a box, and is patient until the kernel is done
// with them.
func (d *Driver) killAll(id string, trees []*cgroup.Tree) {
	deadline := time.Now().Add(5 * time.Second)
	for {
		pids := d.processes()[id]
		for _, t := range trees {
			pids = append(pids, t.Group(id).Procs()...)
		}
		if len(pids) == 0 || time.Now().After(deadline) {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// closeForeign removes the tree of a maker that is gone, if it is empty.
func (d *Driver) closeForeign(t *cgroup.Tree) {
	if t != d.cgroups {
		t.Close()
	}
}

// trees are all places where boxes of this state directory may have groups.
func (d *Driver) trees() []*cgroup.Tree {
	return append(d.cgroups.Elsewhere(cgroupName(d.root)), d.cgroups)
}

// Leftovers implements driver.Driver.
func (d *Driver) Leftovers(context.Context) ([]string, error) {
	var ids []string
	add := func(id string) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for id := range d.processes() {
		add(id)
	}
	for _, t := range d.trees() {
		for _, id := range t.List() {
			add(id)
		}
		d.closeForeign(t)
	}
	entries, _ := os.ReadDir(d.root)
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".sock"); ok {
			add(id)
		}
	}
	return ids, nil
}

// processes finds live sentries and gofers of this state directory, by id.
func (d *Driver) processes() map[string][]int {
	out := map[string][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// Empty for a zombie, which needs no killing.
		b, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		args := strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
		if args[0] != sentry.BootName && args[0] != sentry.GoferName {
			continue
		}
		if slices.Contains(args, "--root="+d.root) {
			id := args[len(args)-1]
			out[id] = append(out[id], pid)
		}
	}
	return out
}

// startTime is when a process started, in the kernel's ticks.
func startTime(pid int) string {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	// The second field, the name, may hold spaces and brackets.
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')'):]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 20 {
		return ""
	}
	return f[19]
}

// TotalCPU is the processor time of all boxes of this state directory since the
// first of them, as the kernel accounts for it.
func (d *Driver) TotalCPU() (time.Duration, bool) { return d.cgroups.TotalCPU() }
