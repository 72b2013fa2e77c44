package template

import (
	"context"
	"encoding/json"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/image"
)

// BuildOptions say what a template is made from.
type BuildOptions struct {
	// From is another template, a tar file (plain or gzip; "-" is Stdin), a
	// directory, an OCI layout or image archive ("oci:PATH:TAG" where it is not
	// plain that it is one), or an image of a registry ("docker://NAME:TAG"); ""
	// is the recipe that has the template's own name.
	From  string
	Stdin io.Reader
	// File is a Dockerfile ("-" is Stdin), Context the directory that it copies
	// from, Args its build arguments, and Target the stage to build, "" the last.
	// Recipe is the Dockerfile's text when File only names it.
	File, Context, Target, Recipe string
	Args                          map[string]string
	// AllowEgress lists what RUN may reach, as api.Egress.Allow; empty is nothing.
	AllowEgress []string
	// Pip and Npm are requirements to install on top of From, fetched by this
	// host's own pip and npm; a single one may be the name of a file.
	Pip, Npm []string
	// Packages are Debian packages to add.
	Packages []string
	// Warm are Python modules to import before the bake, added to the recipe's.
	Warm []string
	// WarmScript is the text of a script to run in the box before each bake.
	WarmScript string
	// Drivers make the sandboxes that RUN runs in, unless Runner does; Limits are
	// what each of them may use, zero fields have defaults.
	Drivers []driver.Driver
	Runner  Runner
	Limits  api.Limits
	// Events gets what happens, instead of Build's progress.
	Events func(BuildEvent)
	// Suite and Mirror choose where packages come from; default: this host's own
	// sources if it is a Debian or Ubuntu.
	Suite, Mirror string
	// InstallTools may install mmdebstrap with apt-get when it is missing.
	InstallTools bool
	// Remote is set for a build that somebody asks for who must not see this machine.
	Remote *Remote
	// Try is called with the new template before it gets its name; its error ends
	// the build, and the name keeps meaning what it meant.
	Try func(ctx context.Context, t Template) error
}

// Remote says what a build for somebody elsewhere may start from.
type Remote struct {
	// MayUse tells which templates there are for them.
	MayUse func(name string) bool
	// Called is what the record says that From was, instead of a path of this host.
	Called string
	// PublicOnly refuses registries at addresses that are not of the internet.
	PublicOnly bool
}

// check refuses a base that is a file of this host.
func (r *Remote) check(ref string) error {
	switch {
	case r == nil:
	case strings.HasPrefix(ref, "oci:"), strings.HasPrefix(ref, "/"), strings.HasPrefix(ref, "."):
		return api.Errorf(api.CodeInvalid, "cannot build from %.200q: because a build over HTTP starts from a template or from a registry's image", ref).
			WithFix("upload the archive as the root filesystem of a template first, then build FROM that")
	}
	return nil
}

func (r *Remote) mayUse(name string) bool { return r == nil || r.MayUse(name) }

// source is a root filesystem to build from: what is known of it, and what puts
// it into an image.
type source struct {
	rec   Record
	fill  func(ctx context.Context, w *image.Writer) error
	chain string // identifies the content, where that is known before it is read
	close func() // nil when nothing is open
}

// Build makes a template, or makes it anew, and tags it. Progress gets lines for
// people and may be nil. A process that waited while another one built the very
// same takes that. Sandboxes of the image that had the name before go on.
//
// Errors: CodeInvalid, CodeNotFound (From), CodeUnavailable (a tool is missing
// or packages cannot be had).
func (c *Catalog) Build(ctx context.Context, name string, opts BuildOptions, progress func(line string)) (Template, error) {
	emit := opts.emitter(progress)
	if err := opts.check(name); err != nil {
		return Template{}, err
	}
	start := time.Now()
	unlock, err := lock(ctx, c.path("locks", "build-"+name))
	if err != nil {
		return Template{}, err
	}
	defer unlock()
	if rec, err := c.lookup(name); err == nil && rec.BuiltAt.After(start) && rec.Request == opts.request() {
		emit(BuildEvent{Event: "progress", Text: "another Brig has just built it"})
		return c.Resolve(ctx, name)
	}
	src, err := c.source(ctx, name, opts, emit)
	if err != nil {
		return Template{}, err
	}
	if src.close != nil {
		defer src.close()
	}
	src.rec.Request = opts.request()
	if opts.Remote != nil && opts.Remote.Called != "" {
		src.rec.Source = opts.Remote.Called
	}
	rec, err := c.buildOnce(ctx, src)
	if err != nil {
		return Template{}, err
	}
	t := c.template(name, rec)
	if opts.Try != nil {
		if err := opts.Try(ctx, t); err != nil {
			return Template{}, err
		}
	}
	if err := c.setTag(name, rec); err != nil {
		return Template{}, err
	}
	c.sweep(ctx)
	c.trimCache(c.opts.BuildCacheBytes, false)
	return t, nil
}

// emitter tells of what happens, to Events or else as lines.
func (o BuildOptions) emitter(progress func(line string)) func(BuildEvent) {
	switch {
	case o.Events != nil:
		return o.Events
	case progress == nil:
		return func(BuildEvent) {}
	}
	return func(e BuildEvent) {
		if line := e.String(); line != "" {
			progress(line)
		}
	}
}

// buildOnce builds an image unless the very same was built before and is there.
func (c *Catalog) buildOnce(ctx context.Context, src source) (Record, error) {
	if src.chain == "" {
		return c.buildRecorded(ctx, src)
	}
	r := src.rec
	key := keyOf("image", src.chain, c.guestID(), r.Source, r.Config, r.WarmModules, r.WarmScript, r.Kernels)
	if k, ok := c.cached(ctx, key); ok && k.Image != "" {
		path := c.imagePath(k.Image)
		rec, err := c.record(k.Image)
		if err == nil && c.hold(path) == nil && c.intact(ctx, path, rec.Digest, rec.Bytes) == nil {
			return rec, nil
		}
	}
	rec, err := c.buildRecorded(ctx, src)
	if err != nil {
		return Record{}, err
	}
	return rec, c.keepImage(key, r.Source, rec.Digest)
}

// buildRecorded makes an image with the skeleton in it, and its record.
func (c *Catalog) buildRecorded(ctx context.Context, src source) (Record, error) {
	rec := src.rec
	rec.Version, rec.Guest, rec.Env = recordVersion, c.guestID(), rec.programEnv()
	info, err := c.buildImage(ctx, func(w *image.Writer) error {
		if err := src.fill(ctx, w); err != nil {
			return err
		}
		rec.Languages = findLanguages(w.Has)
		if err := rec.warm(); err != nil {
			return err
		}
		about, err := rec.about()
		if err != nil {
			return err
		}
		has := none
		if rec.OwnUsers {
			has = w.Has
		}
		contents := append(c.skeleton(has), about)
		if rec.WarmScript != "" {
			contents = append(contents, file(warmPath, 0o755, []byte(rec.WarmScript)))
		}
		return w.AddContents(ctx, contents)
	})
	if err != nil {
		return Record{}, err
	}
	rec.Digest, rec.Bytes, rec.Files, rec.BuiltAt = info.Digest, info.Bytes, info.Entries, time.Now().UTC()
	return rec, c.writeJSON(c.recordPath(rec.Digest), rec)
}

// warm notes which language waits in the snapshots.
func (r *Record) warm() error {
	if r.WarmScript != "" && !r.baked() {
		return api.Errorf(api.CodeInvalid, "cannot run a warm-up script: because nothing of the template is baked").
			WithFix("name a Python module to be warm, too: --warm json")
	}
	if len(r.WarmModules) == 0 {
		return nil
	}
	python, ok := r.Languages["python"]
	if !ok {
		return api.Errorf(api.CodeInvalid, "cannot warm Python modules: because the root filesystem has no python3").
			WithFix("leave out --warm, or add python3 with --packages")
	}
	python.Warm = true
	r.Languages["python"] = python
	return nil
}

// about is a file inside that says how the template runs programs. With it the
// image's digest identifies the whole template, not only its files.
func (r *Record) about() (image.Content, error) {
	about := map[string]any{"env": r.Env, "languages": r.Languages, "warm_modules": r.WarmModules}
	if r.Config != nil {
		about["config"] = r.Config
	}
	if len(r.Kernels) > 0 {
		about["kernels"] = r.Kernels
	}
	data, err := json.MarshalIndent(about, "", "  ")
	return file("/.brig/template.json", 0o644, append(data, '\n')), err
}

// regraft puts this Brig's guest programs into a template that was built by
// another version. It copies the image and takes about a second.
func (c *Catalog) regraft(ctx context.Context, name string, old Record) (Record, error) {
	unlock, err := lock(ctx, c.path("locks", "build-"+name))
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	rec, err := c.lookup(name)
	if err != nil || rec.Guest == c.guestID() {
		return rec, err // another process was faster
	}
	c.log.Info("renewing the guest programs of a template", "template", name)
	if err := c.hold(c.imagePath(rec.Digest)); err != nil {
		return Record{}, c.damaged(name, "its image is missing")
	}
	if rec, err = c.buildRecorded(ctx, c.copyOf(rec)); err != nil {
		return Record{}, err
	}
	// The name means the same still: what it meant before is not touched.
	if err := c.replaceTag(name, rec); err != nil {
		return Record{}, err
	}
	c.sweep(ctx)
	return rec, nil
}

// copyOf is a source that has all that an image of ours has.
func (c *Catalog) copyOf(rec Record) source {
	path := c.imagePath(rec.Digest)
	return source{rec: rec, fill: func(ctx context.Context, w *image.Writer) error {
		return w.AddImage(ctx, path, keepGuest)
	}}
}

// keepGuest leaves out what every image gets anew.
func keepGuest(p string) bool { return !matches(hostsOwn(), p) }

// keepAllBut leaves out the paths that match a pattern, and what no image takes.
func keepAllBut(drop []string) image.Keep {
	patterns := slices.Concat(drop, hostsOwn())
	return func(p string) bool { return !matches(patterns, p) }
}

// matches tells whether p, or a directory above it, is one of patterns.
func matches(patterns []string, p string) bool {
	parts := strings.Split(p, "/")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		n := strings.Count(pattern, "/") + 1
		if n > len(parts) {
			return false
		}
		ok, err := path.Match(pattern, strings.Join(parts[:n], "/"))
		return ok && err == nil
	})
}
