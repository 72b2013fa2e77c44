package template

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/dockerfile"
	"github.com/brigdev/brig/internal/image"
	"github.com/brigdev/brig/internal/oci"
	"github.com/brigdev/brig/internal/rootfs"
	"github.com/brigdev/brig/templates"
)

// base is what a build starts from.
type base struct {
	id     string // identifies the content
	rec    Record // what a template of it inherits
	config dockerfile.Config
	load   func(ctx context.Context, t *rootfs.Tree) error // into an empty tree
}

// workshop holds what is open during one build.
type workshop struct {
	c       *Catalog
	dir     string // that paths are relative to
	remote  *Remote
	spool   *rootfs.Spool
	closers []func()
}

// newWorkshop makes the place of one build. Close it when the image is written.
func (c *Catalog) newWorkshop(dir string, remote *Remote) (*workshop, error) {
	w := &workshop{c: c, dir: dir, remote: remote}
	f, err := w.temp()
	if err != nil {
		return nil, err
	}
	w.spool = rootfs.NewSpool(f)
	return w, nil
}

// temp is a file without a name, closed with the workshop.
func (w *workshop) temp() (*os.File, error) {
	f, err := os.CreateTemp(w.c.scratch, "spool-*")
	if err != nil {
		return nil, fileError("write", w.c.scratch, err)
	}
	_ = os.Remove(f.Name())
	w.closers = append(w.closers, func() { f.Close() })
	return f, nil
}

func (w *workshop) close() {
	for _, end := range slices.Backward(w.closers) {
		end()
	}
	w.closers = nil
}

// open finds what FROM or --from means: nothing, a registry's image, a layout or
// archive, a template, and what is none of these is asked of a registry.
func (w *workshop) open(ctx context.Context, ref string) (base, error) {
	if err := w.remote.check(ref); err != nil {
		return base{}, err
	}
	if ref == "scratch" {
		return base{id: "scratch", load: func(context.Context, *rootfs.Tree) error { return nil }}, nil
	}
	if name, ok := strings.CutPrefix(ref, "docker://"); ok {
		return w.registry(ctx, name)
	}
	if path, ok := strings.CutPrefix(ref, "oci:"); ok {
		return w.archive(ctx, path)
	}
	if strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../") {
		return w.archive(ctx, ref)
	}
	if CheckName(ref) == nil && w.remote.mayUse(ref) {
		b, err := w.template(ctx, ref)
		ours := ref == HostName || slices.Contains(templates.Names(), ref)
		if err == nil || ours || api.CodeOf(err) != api.CodeNotFound {
			return b, err
		}
	}
	b, err := w.registry(ctx, ref)
	if err != nil && CheckName(ref) == nil && api.CodeOf(err) != api.CodeCancelled {
		return b, api.Errorf(api.CodeOf(err), "there is no template %s, and as an image: %w", ref, err).WithFix("build the template: brig template build %s; or: %s", ref, api.FixOf(err))
	}
	return b, err
}

func (w *workshop) registry(ctx context.Context, name string) (base, error) {
	img, err := oci.OpenRegistry(ctx, name, w.remote != nil && w.remote.PublicOnly)
	if err != nil {
		return base{}, err
	}
	return w.image("docker://"+name, img), nil
}

// archive opens an OCI layout or archive. A tag may follow its path.
func (w *workshop) archive(ctx context.Context, name string) (base, error) {
	path, tag := filepath.Join(w.dir, name), ""
	if filepath.IsAbs(name) {
		path = name
	}
	for cut := len(path); ; {
		if _, err := os.Stat(path[:cut]); err == nil {
			path, tag = path[:cut], strings.TrimPrefix(path[cut:], ":")
			break
		}
		if cut = strings.LastIndexByte(path[:cut], ':'); cut < 0 {
			break // the error will say so
		}
	}
	temp, err := w.temp()
	if err != nil {
		return base{}, err
	}
	img, err := oci.OpenPath(ctx, path, tag, temp)
	if err != nil {
		return base{}, err
	}
	return w.image("oci:"+filepath.Base(path), img), nil
}

func (w *workshop) image(name string, img *oci.Image) base {
	w.closers = append(w.closers, func() { img.Close() })
	return base{id: img.Digest, rec: Record{Source: name, OwnUsers: true}, config: dockerfile.Config(img.Config),
		load: func(ctx context.Context, t *rootfs.Tree) error { return img.Unpack(ctx, t, w.spool) }}
}

// template opens a template that is built.
func (w *workshop) template(ctx context.Context, name string) (base, error) {
	if name == HostName {
		return base{}, api.Errorf(api.CodeInvalid, "cannot build from the template host: because it is this host itself and no copy").
			WithFix("build from python or base")
	}
	rec, err := w.c.lookup(name)
	if err != nil {
		return base{}, err
	}
	path := w.c.imagePath(rec.Digest)
	if err := w.c.hold(path); err != nil {
		return base{}, w.c.damaged(name, "its image is missing")
	}
	if err := w.c.intact(ctx, path, rec.Digest, rec.Bytes); err != nil {
		return base{}, w.c.damaged(name, err.Error())
	}
	b := base{id: rec.Digest, rec: rec}
	if rec.Config != nil {
		b.config = *rec.Config
	}
	b.rec.Source, b.rec.Packages, b.rec.Drop = name, nil, nil
	b.load = func(ctx context.Context, tree *rootfs.Tree) error {
		img, err := image.Open(path)
		if err != nil {
			return err
		}
		w.closers = append(w.closers, img.Close)
		return tree.LoadImage(ctx, img, keepGuest)
	}
	return b, nil
}

// files is a root filesystem during a build: a base and the layers on top.
type files struct {
	w       *workshop
	base    base
	chain   string   // identifies the content
	layers  []string // digests, bottom first
	tree    *rootfs.Tree
	applied int // layers that are in the tree
}

func (w *workshop) files(b base) *files { return &files{w: w, base: b, chain: b.id} }

// more is a copy that goes its own way.
func (f *files) more() *files {
	return &files{w: f.w, base: f.base, chain: f.chain, layers: slices.Clone(f.layers)}
}

// push puts a layer of the cache on top.
func (f *files) push(digest string) {
	f.layers = append(f.layers, digest)
	f.chain = keyOf("layer", f.chain, digest)
}

// look gives the tree, which is only made when somebody looks.
func (f *files) look(ctx context.Context) (*rootfs.Tree, error) {
	if f.tree == nil {
		t := rootfs.New(rootfs.Limits{})
		if err := f.base.load(ctx, t); err != nil {
			return nil, err
		}
		f.tree = t
	}
	for ; f.applied < len(f.layers); f.applied++ {
		layer, err := os.Open(f.w.c.layerPath(f.layers[f.applied]))
		if err != nil {
			return nil, fileError("read", f.w.c.layerPath(f.layers[f.applied]), err)
		}
		f.w.closers = append(f.w.closers, func() { layer.Close() })
		if err := f.tree.ApplyFile(ctx, layer); err != nil {
			return nil, err
		}
	}
	return f.tree, nil
}
