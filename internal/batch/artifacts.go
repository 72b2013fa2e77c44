package batch

import (
	"context"
	"path"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/host"
)

// Caps on one item's artifacts. What is beyond is left out, and Truncated says so.
const (
	maxArtifacts     = 100
	maxArtifactBytes = 64 << 20
	maxListed        = 10_000 // names that are looked at
	maxDepth         = 16
)

// collector copies an item's artifacts out of its sandbox.
type collector struct {
	sandbox host.Sandbox
	globs   []Glob
	own     map[string]bool // files that are ours and never artifacts
	folder  *outdir.Artifacts

	files  []api.Artifact
	room   int64 // bytes that may still come
	listed int
	cut    bool
}

// collect takes what the globs name. A failure of the sandbox is an error like
// any of the platform; one of our own disk is wrapped as ours.
func (w *worker) collect(ctx context.Context, sb host.Sandbox, it input.Item, o *outcome) error {
	if len(w.globs) == 0 {
		return nil
	}
	folder, err := w.o.Out.OpenArtifacts(it.CustomID)
	if err != nil {
		return ours{err}
	}
	defer folder.Close()
	c := &collector{
		sandbox: sb, globs: w.globs, folder: folder, room: maxArtifactBytes,
		own: map[string]bool{"input.json": true, "result.json": true, "run." + input.Ext(it.Language): true},
	}
	err = c.walk(ctx, ".", 0)
	o.files, o.filesUp = c.files, c.cut
	if err == nil && len(c.files) == 0 {
		if err := w.o.Out.RemoveArtifacts(it.CustomID); err != nil {
			return ours{err}
		}
	}
	return err
}

// walk looks at one directory below /work.
func (c *collector) walk(ctx context.Context, dir string, depth int) error {
	names, err := c.sandbox.List(ctx, path.Join(api.WorkDir, dir), maxListed-c.listed)
	if err != nil {
		if c.passOver(err) {
			return nil
		}
		return err
	}
	if c.listed += len(names); c.listed >= maxListed {
		c.cut = true
	}
	for _, info := range names {
		base := path.Base(info.Path)
		if base == "" || base == "." || base == ".." || base == "/" || strings.ContainsRune(base, 0) {
			continue
		}
		name := path.Join(dir, base)
		switch {
		case info.Kind == api.FileDir && c.reaches(name):
			if depth+1 >= maxDepth || c.listed >= maxListed {
				c.cut = true
			} else if err := c.walk(ctx, name, depth+1); err != nil {
				return err
			}
		case info.Kind == api.FileRegular && c.wants(name):
			if err := c.take(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// take copies one file.
func (c *collector) take(ctx context.Context, name string) error {
	saved, ok := outdir.ArtifactPath(name)
	if !ok || len(c.files) >= maxArtifacts || c.room <= 0 {
		c.cut = true
		return nil
	}
	f, err := c.folder.Create(saved)
	if err != nil {
		return ours{err}
	}
	if _, err := c.sandbox.Get(ctx, path.Join(api.WorkDir, name), c.room, f); err != nil {
		if err := f.Discard(); err != nil {
			return ours{err}
		}
		if c.passOver(err) {
			c.cut = true // it was too large, or was changed while we looked
			return nil
		}
		return err
	}
	a, err := f.Commit()
	if err != nil {
		return ours{err}
	}
	c.room -= a.Bytes
	c.files = append(c.files, a)
	return nil
}

// passOver tells what is wrong with a file from a broken platform.
func (c *collector) passOver(err error) bool {
	code := api.CodeOf(err)
	return code == api.CodeNotFound || code == api.CodeInvalid
}

func (c *collector) wants(name string) bool {
	for _, g := range c.globs {
		if !c.own[name] && g.Match(name) {
			return true
		}
	}
	return false
}

func (c *collector) reaches(dir string) bool {
	for _, g := range c.globs {
		if g.Reaches(dir) {
			return true
		}
	}
	return false
}
