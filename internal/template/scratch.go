package template

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// openScratch makes this process's own temporary directory below the data
// directory and removes those of processes that are gone. The owner of one holds
// a lock on it for as long as it lives.
func (c *Catalog) openScratch(ctx context.Context) error {
	unlock, err := lock(ctx, c.path("locks", "tmp"))
	if err != nil {
		return err
	}
	defer unlock()
	c.removeScratches()
	dir, err := os.MkdirTemp(c.path("tmp"), "brig-")
	if err != nil {
		return fileError("make a directory in", c.path("tmp"), err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fileError("open", dir, err)
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		d.Close()
		return fileError("lock", dir, err)
	}
	c.scratch, c.scratchDir = dir, d
	return nil
}

// removeScratches removes the directories that nobody holds. The caller has the
// lock of tmp, so that none of them is being made.
func (c *Catalog) removeScratches() {
	left, err := os.ReadDir(c.path("tmp"))
	if err != nil {
		return
	}
	for _, e := range left {
		dir := c.path("tmp", e.Name())
		if unlock, ok := unused(dir); ok {
			c.removeScratch(dir)
			unlock()
		}
	}
}

// removeScratch never deletes below a running tool, nor through a mount: what a
// build mounts lives in a mount namespace that ends with it, and if something is
// there all the same, it is not ours to empty.
func (c *Catalog) removeScratch(dir string) {
	if !endTool(dir) {
		c.log.Warn("a temporary directory stays because a tool still works in it", "dir", dir)
		return
	}
	if at := mountBelow(dir); at != "" {
		c.log.Warn("a temporary directory stays because something is mounted in it", "mount", at)
		return
	}
	if outside, err := os.ReadFile(filepath.Join(dir, outsideName)); err == nil && !removeBuildDir(dir, string(outside)) {
		c.log.Warn("a temporary directory stays because it cannot be removed", "dir", string(outside))
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		c.log.Warn("a temporary directory stays", "error", err)
	}
}

// mountBelow finds a mount in dir, or "".
func mountBelow(dir string) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "/proc/self/mountinfo cannot be read"
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && strings.HasPrefix(fields[4]+"/", real+"/") {
			return fields[4]
		}
	}
	return ""
}
