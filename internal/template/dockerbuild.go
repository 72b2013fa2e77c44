package template

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/dockerfile"
	"github.com/brigdev/brig/internal/image"
	"github.com/brigdev/brig/internal/rootfs"
	"github.com/brigdev/brig/internal/users"
)

// dockerBuild is the building of one Dockerfile.
type dockerBuild struct {
	*workshop
	o      BuildOptions
	file   *dockerfile.File
	emit   func(BuildEvent)
	ignore dockerfile.Ignore
	run    Runner // chosen at the first RUN that is not cached
	stages map[int]*stage
	step   int // of steps
	steps  int
}

// stage is a FROM and how far it was built.
type stage struct {
	base   base
	files  *files
	config dockerfile.Config
	steps  []dockerfile.Step
}

// fromDockerfile carries out a Dockerfile, as far as the cache does not know the
// outcome. Close the source's workshop.
func (c *Catalog) fromDockerfile(ctx context.Context, o BuildOptions, emit func(BuildEvent)) (source, error) {
	data, err := o.dockerfile()
	if err != nil {
		return source{}, err
	}
	f, err := dockerfile.Parse(o.File, data)
	if err != nil {
		return source{}, err
	}
	w, err := c.newWorkshop(o.Context, o.Remote)
	if err != nil {
		return source{}, err
	}
	b := &dockerBuild{workshop: w, o: o, file: f, emit: emit, stages: map[int]*stage{}}
	src, err := b.build(ctx)
	if err != nil {
		w.close()
		return source{}, err
	}
	src.close = w.close
	return src, nil
}

// dockerfile reads the Dockerfile; "-" is Stdin.
func (o BuildOptions) dockerfile() ([]byte, error) {
	const most = 2 << 20 // the parser knows the real limit
	var r io.Reader = stdin(o)
	if o.Recipe != "" {
		r = strings.NewReader(o.Recipe)
	} else if o.File != "-" {
		f, err := os.Open(o.File)
		if err != nil {
			return nil, api.Errorf(api.CodeInvalid, "cannot read the Dockerfile: because of %w", err).WithFix("name it with --file")
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "cannot read the Dockerfile %s: because of %w", o.File, err)
	}
	return data, nil
}

func (b *dockerBuild) build(ctx context.Context) (source, error) {
	target := len(b.file.Stages) - 1
	if b.o.Target != "" {
		if target = b.file.Before(b.o.Target, len(b.file.Stages)); target < 0 {
			return source{}, api.Errorf(api.CodeInvalid, "cannot build from %s: because it has no stage %q", b.file.Name, b.o.Target)
		}
	}
	for _, name := range b.file.Unused(b.o.Args) {
		b.emit(BuildEvent{Event: "note", Line: 1, Text: "no ARG declares the build argument " + name})
	}
	if err := b.readIgnore(); err != nil {
		return source{}, err
	}
	order := b.file.Needs(target, b.o.Args)
	for _, n := range order { // all is checked before anything is done
		if err := b.plan(ctx, n); err != nil {
			return source{}, err
		}
	}
	for _, n := range order {
		if err := b.buildStage(ctx, n); err != nil {
			return source{}, err
		}
	}
	return b.source(b.stages[target]), nil
}

// plan evaluates a stage, whose bases are planned.
func (b *dockerBuild) plan(ctx context.Context, n int) error {
	ref, err := b.file.Base(n, b.o.Args)
	if err != nil {
		return err
	}
	s := &stage{}
	if on := b.file.Before(ref, n); on >= 0 {
		s.base, s.config = b.stages[on].base, b.stages[on].config
	} else {
		if s.base, err = b.open(ctx, ref); err != nil {
			return atLine(b.file, b.file.Stages[n].From.Line, err)
		}
		s.config = s.base.config
	}
	steps, config, notes, err := b.file.Evaluate(n, s.config, b.o.Args)
	if err != nil {
		return err
	}
	for _, note := range notes {
		b.emit(BuildEvent{Event: "note", Line: note.Line, Text: note.Text})
	}
	s.steps, s.config = steps, config
	b.stages[n] = s
	b.steps += len(steps)
	return nil
}

// atLine says which line of a Dockerfile an error is about, and keeps its code
// and fix.
func atLine(f *dockerfile.File, line int, err error) error {
	return api.Errorf(api.CodeOf(err), "cannot build from %s: because of line %d: %w", f.Name, line, err).WithFix("%s", api.FixOf(err))
}

func (b *dockerBuild) buildStage(ctx context.Context, n int) error {
	s := b.stages[n]
	ref, err := b.file.Base(n, b.o.Args)
	if err != nil {
		return err
	}
	if on := b.file.Before(ref, n); on >= 0 {
		s.files = b.stages[on].files.more()
	} else {
		s.files = b.files(s.base)
	}
	for _, step := range s.steps {
		if err := b.carryOut(ctx, n, step); err != nil {
			return err
		}
	}
	return nil
}

// carryOut does one step, or takes what it gave before.
func (b *dockerBuild) carryOut(ctx context.Context, n int, step dockerfile.Step) error {
	b.step++
	start := time.Now()
	b.emit(BuildEvent{Event: "step", Step: b.step, Steps: b.steps, Line: step.Line, Text: step.Text})
	f := b.stages[n].files
	w := work{b: b, files: f, step: step, stage: n}
	key, err := w.prepare(ctx)
	if err != nil {
		return atLine(b.file, step.Line, err)
	}
	k, hit := b.c.cached(ctx, key)
	if hit = hit && k.Layer != ""; !hit {
		delta, err := w.do(ctx)
		if err != nil {
			return atLine(b.file, step.Line, err)
		}
		k, err = b.c.keepLayer(ctx, key, step.Text, func(out io.Writer) error {
			return delta.WriteLayer(ctx, out, keepFiles)
		})
		if err != nil {
			return atLine(b.file, step.Line, err)
		}
	}
	f.push(k.Layer)
	b.emit(BuildEvent{Event: "done", Step: b.step, Steps: b.steps, Line: step.Line, Cached: hit, Digest: k.Layer, MS: time.Since(start).Milliseconds()})
	return nil
}

// work is one step that is carried out.
type work struct {
	b     *dockerBuild
	files *files
	step  dockerfile.Step
	stage int
	copy  *gathered // of a COPY
}

// prepare gives the step's key: all that its outcome depends on.
func (w *work) prepare(ctx context.Context) (string, error) {
	switch {
	case w.step.Run != nil:
		return keyOf("run", w.files.chain, w.step.Run, w.b.o.egress()), nil
	case w.step.Copy != nil:
		var err error
		if w.copy, err = w.b.gather(ctx, w.stage, w.step.Copy); err != nil {
			return "", err
		}
		c := w.step.Copy
		return keyOf("copy", w.files.chain, c.Dest, c.Chown, c.Chmod, c.Unpack, w.copy.digest), nil
	}
	return keyOf("workdir", w.files.chain, w.step.Workdir, w.step.User), nil
}

// do carries the step out and gives what it changes.
func (w *work) do(ctx context.Context) (*rootfs.Tree, error) {
	tree, err := w.files.look(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case w.step.Run != nil:
		return w.doRun(ctx, tree)
	case w.step.Copy != nil:
		return w.b.place(ctx, tree, w.step.Copy, w.copy)
	}
	return w.doWorkdir(tree)
}

// doWorkdir makes the directory that the next steps work in. Who runs them may
// write there.
func (w *work) doWorkdir(tree *rootfs.Tree) (*rootfs.Tree, error) {
	var owner users.Account
	if w.step.User != "" {
		var err error
		if owner, err = findAccount(tree, w.step.User); err != nil {
			return nil, err
		}
	}
	delta := rootfs.NewDelta(rootfs.Limits{})
	return delta, makeDirs(delta, tree, w.step.Workdir, owner)
}

// makeDirs puts a directory and its parents into a delta, as far as they are not
// there.
func makeDirs(delta, tree *rootfs.Tree, path string, owner users.Account) error {
	real, n := tree.Resolve(path)
	if n.IsDir() {
		return nil
	}
	if n != nil {
		return fmt.Errorf("%s is no directory", path)
	}
	at := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(real, "/"), "/") {
		at += "/" + part
		if tree.Lookup(at).IsDir() {
			continue
		}
		dir := &rootfs.Node{Kind: image.Dir, Mode: 0o755, UID: owner.UID, GID: owner.GID, MTime: image.Epoch}
		if err := delta.Put(at, dir); err != nil {
			return err
		}
	}
	return nil
}

// source is the template that a stage ends as.
func (b *dockerBuild) source(s *stage) source {
	rec := s.base.rec
	from := rec.Source
	if s.base.id == "scratch" {
		from = "scratch"
	}
	rec.Source = strings.TrimSpace(filepath.Base(b.file.Name) + " on " + from)
	if b.o.Recipe != "" {
		rec.Source = b.o.File + " on " + from
	}
	rec.WarmModules, rec.WarmScript = union(rec.WarmModules, b.o.Warm), or(b.o.WarmScript, rec.WarmScript)
	rec.OwnUsers = true
	rec.Config = &s.config
	return treeSource(rec, s.files)
}

// treeSource is a root filesystem of layers as the source of a template.
func treeSource(rec Record, f *files) source {
	return source{rec: rec, chain: f.chain, fill: func(ctx context.Context, w *image.Writer) error {
		tree, err := f.look(ctx)
		if err != nil {
			return err
		}
		if err := addUsers(tree); err != nil {
			return err
		}
		return tree.WriteImage(ctx, w, keepFiles)
	}}
}

// keepFiles leaves out what belongs to the machine, or is changed by the sandbox
// itself, and not by a build.
func keepFiles(p string) bool {
	return !matches(slices.Concat(hostsOwn(), kernelFiles()), p)
}
