package template

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keepUnused is how long a snapshot that no process uses stays although another
// one has taken its place: two versions of Brig may take turns on one host.
const keepUnused = 24 * time.Hour

// sweep removes images that nothing refers to and that no process uses, with their
// snapshots, and snapshots that nobody has used for a day. What cannot be
// removed is left for the next time.
func (c *Catalog) sweep(ctx context.Context) {
	// Nothing gets its name meanwhile, so that a path means what was looked at.
	unlock, err := lock(ctx, c.path("locks", "install"))
	if err != nil {
		return
	}
	defer unlock()
	named, err := c.references(ctx)
	if err != nil {
		return
	}
	c.sweepImages(named, false)
	c.sweepSnapshots(named)
}

// sweepImages tells which images it removed, and what that freed.
func (c *Catalog) sweepImages(named map[string]bool, dryRun bool) (digests []string, freed int64) {
	digests = []string{}
	images, _ := filepath.Glob(c.path("images", "*.erofs"))
	for _, path := range images {
		digest := "sha256:" + strings.TrimSuffix(filepath.Base(path), ".erofs")
		if named[digest] {
			continue
		}
		unlock, ok := unused(path)
		if !ok {
			continue
		}
		if st, err := os.Stat(path); err == nil {
			digests, freed = append(digests, digest), freed+st.Size()
		}
		if !dryRun {
			for _, p := range []string{path, path + ".checked", c.recordPath(digest)} {
				c.removed(p, os.RemoveAll(p))
			}
		}
		unlock()
	}
	return digests, freed
}

func (c *Catalog) sweepSnapshots(named map[string]bool) {
	manifests, _ := filepath.Glob(c.path("snapshots", "*", "manifest.json"))
	for _, path := range manifests {
		dir := filepath.Dir(path)
		var m Manifest
		used, err := os.Stat(filepath.Join(dir, usedName))
		fresh := err == nil && time.Since(used.ModTime()) < keepUnused
		if readJSON(path, &m) == nil && named[m.Key.Image] && fresh {
			continue
		}
		if unlock, ok := unused(path); ok {
			c.removed(dir, os.RemoveAll(dir))
			unlock()
		}
	}
}

func (c *Catalog) removed(path string, err error) {
	if err != nil {
		c.log.Warn("something unused stays", "path", path, "error", err)
	} else {
		c.log.Debug("removed what nobody uses", "path", path)
	}
}
