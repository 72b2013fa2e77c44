package template

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/brigdev/brig/api"
)

// maxHistory is how many images a name remembers besides the one that it means.
// Their files stay for a rollback.
const maxHistory = 2

// readTag reads a name's tag. Errors: CodeNotFound with the build command.
func (c *Catalog) readTag(name string) (tag, error) {
	if err := CheckName(name); err != nil {
		return tag{}, err
	}
	var t tag
	err := readJSON(c.tagPath(name), &t)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tag{}, fileError("read", c.tagPath(name), err)
	}
	if err != nil || t.Version != recordVersion {
		return tag{}, api.Errorf(api.CodeNotFound, "cannot use the template %s: because it is not built", name).
			WithFix("run 'brig template build %s', or use --template host", name)
	}
	return t, nil
}

// setTag lets a name mean an image, and remembers what it meant. It comes last: a
// tag never names what is not there.
func (c *Catalog) setTag(name string, rec Record) error {
	t := tag{Version: recordVersion, Digest: rec.Digest, BuiltAt: rec.BuiltAt}
	if old, err := c.readTag(name); err == nil {
		t.History = append([]Tagged{{old.Digest, old.BuiltAt}}, old.History...)
	}
	t.forget()
	return c.writeJSON(c.tagPath(name), t)
}

// replaceTag lets a name mean an image that stands for the one that it meant.
func (c *Catalog) replaceTag(name string, rec Record) error {
	t := tag{Version: recordVersion, Digest: rec.Digest, BuiltAt: rec.BuiltAt}
	if old, err := c.readTag(name); err == nil {
		t.History = old.History
	}
	t.forget()
	return c.writeJSON(c.tagPath(name), t)
}

// forget drops from the history what is named twice or too old.
func (t *tag) forget() {
	seen := map[string]bool{t.Digest: true}
	t.History = slices.DeleteFunc(t.History, func(h Tagged) bool {
		twice := seen[h.Digest]
		seen[h.Digest] = true
		return twice
	})
	t.History = t.History[:min(len(t.History), maxHistory)]
}

// Tag gives a template a second name, which moves there if it meant something
// else.
func (c *Catalog) Tag(ctx context.Context, name, to string) error {
	if err := CheckName(to); err != nil {
		return err
	}
	if to == HostName || name == HostName {
		return api.Errorf(api.CodeInvalid, "cannot tag %s as %s: because the template host is this host itself", name, to).WithFix("choose another name")
	}
	unlock, err := lock(ctx, c.path("locks", "build-"+to))
	if err != nil {
		return err
	}
	defer unlock()
	t, err := c.Resolve(ctx, name) // held: it cannot go away meanwhile
	if err != nil {
		return err
	}
	rec, err := c.record(t.Digest)
	if err != nil {
		return c.damaged(name, "its record is missing")
	}
	return c.setTag(to, rec)
}

// Rollback lets a name mean again what it meant before, or the image of its
// history that digest names, and gives that image's digest. What it meant until
// now is in the history then.
func (c *Catalog) Rollback(ctx context.Context, name, digest string) (string, error) {
	unlock, err := lock(ctx, c.path("locks", "build-"+name))
	if err != nil {
		return "", err
	}
	defer unlock()
	t, err := c.readTag(name)
	if err != nil {
		return "", err
	}
	for _, h := range t.History {
		if digest != "" && h.Digest != digest {
			continue
		}
		rec, err := c.record(h.Digest)
		if err != nil || c.hold(c.imagePath(h.Digest)) != nil {
			return "", c.damaged(name, "the image that it meant before is gone")
		}
		return h.Digest, c.setTag(name, rec)
	}
	if digest != "" {
		return "", api.Errorf(api.CodeNotFound, "cannot roll %s back to %s: because it never meant that, or too long ago", name, digest).
			WithFix("see 'brig template inspect %s'", name)
	}
	return "", api.Errorf(api.CodeNotFound, "cannot roll %s back: because it never meant anything else", name)
}

// Remove forgets a template, and removes its image and snapshots unless another
// name means the same image. Errors: CodeConflict while a sandbox or a snapshot
// was made from it and needs it, or a Brig process is about to.
func (c *Catalog) Remove(ctx context.Context, name string) error {
	if name == HostName {
		return api.Errorf(api.CodeInvalid, "cannot remove the template host: because it is no copy but this host itself")
	}
	unlock, err := lock(ctx, c.path("locks", "build-"+name))
	if err != nil {
		return err
	}
	defer unlock()
	t, err := c.readTag(name)
	if err != nil {
		return err
	}
	inUse, err := c.opts.InUse(ctx)
	if err != nil {
		return err
	}
	if by := inUse[t.Digest]; by != "" {
		return api.Errorf(api.CodeConflict, "cannot remove the template %s: because %s uses it", name, by).
			WithFix("remove that first, then the template")
	}
	if err := os.Remove(c.tagPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError("remove", c.tagPath(name), err)
	}
	c.sweep(ctx)
	return nil
}

// History lists what a name meant before, the newest first.
func (c *Catalog) History(name string) ([]Tagged, error) {
	t, err := c.readTag(name)
	return t.History, err
}

// CollectReport is what Collect removed, or would.
type CollectReport struct {
	Images []string    `json:"images"` // digests of images that nothing refers to
	Freed  int64       `json:"freed_bytes"`
	Cache  CacheReport `json:"build_cache"`
}

// Collect removes the images that no name, sandbox or snapshot refers to, their
// warm snapshots, and what the layer cache has too much.
func (c *Catalog) Collect(ctx context.Context, dryRun bool) (CollectReport, error) {
	report := CollectReport{Images: []string{}}
	unlock, err := lock(ctx, c.path("locks", "install"))
	if err != nil {
		return report, err
	}
	defer unlock()
	named, err := c.references(ctx)
	if err != nil {
		return report, err
	}
	report.Images, report.Freed = c.sweepImages(named, dryRun)
	if !dryRun {
		c.sweepSnapshots(named)
	}
	report.Cache = c.trimCache(c.opts.BuildCacheBytes, dryRun)
	return report, nil
}

// references are the digests of all images that must stay.
func (c *Catalog) references(ctx context.Context) (map[string]bool, error) {
	named := map[string]bool{}
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var t tag
		if readJSON(c.tagPath(name), &t) == nil {
			named[t.Digest] = true
			for _, h := range t.History {
				named[h.Digest] = true
			}
		}
	}
	inUse, err := c.opts.InUse(ctx)
	for digest := range inUse {
		named[digest] = true
	}
	return named, err
}
