package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/image"
)

// How layers say that something below is gone: by names, as OCI does, or as
// overlay filesystems do, by a device without a number and an attribute.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	opaqueXattr    = "SCHILY.xattr.trusted.overlay.opaque"
)

// Apply puts one layer, an uncompressed tar, on top of what is there, or into a
// delta. The content of its files goes into the spool. What tries to leave the
// root is refused; the rest of what a sandbox cannot use is left out.
//
// Errors: CodeInvalid for the archive, the spool's own.
func (t *Tree) Apply(ctx context.Context, r io.Reader, spool *Spool) error {
	return t.apply(ctx, tar.NewReader(r), func(h *tar.Header, body io.Reader) (io.ReaderAt, int64, error) {
		at, err := spool.add(ctx, body, h.Size)
		return spool.f, at, err
	})
}

// A File is a layer that is kept while the tree is used.
type File interface {
	io.Reader
	io.Seeker
	io.ReaderAt
}

// ApplyFile is Apply for a layer in a file of ours, which must stay open and as
// it is for as long as the tree is used: content is read from there.
func (t *Tree) ApplyFile(ctx context.Context, f File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return t.apply(ctx, tar.NewReader(f), func(*tar.Header, io.Reader) (io.ReaderAt, int64, error) {
		// archive/tar reads no further than the header.
		at, err := f.Seek(0, io.SeekCurrent)
		return f, at, err
	})
}

type keepContent func(h *tar.Header, body io.Reader) (io.ReaderAt, int64, error)

func (t *Tree) apply(ctx context.Context, archive *tar.Reader, content keepContent) error {
	t.layer++
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return layerError(err)
		}
		if ctx.Err() != nil {
			return api.Errorf(api.CodeCancelled, "cannot go on with a layer: %w", context.Cause(ctx))
		}
		// What is left out counts too: reading it takes time.
		if err := t.charge(h.Name, len(h.Name)+len(h.Linkname)); err != nil {
			return err
		}
		if err := t.entry(h, archive, content); err != nil {
			return err
		}
	}
}

func layerError(err error) error {
	if classed := (*api.Error)(nil); errors.As(err, &classed) {
		return err
	}
	return api.Errorf(api.CodeInvalid, "cannot read a layer: because of %w", err).
		WithFix("make or fetch the image again: it is damaged or cut short")
}

func (t *Tree) entry(h *tar.Header, body io.Reader, content keepContent) error {
	// Before anything is taken apart, joined, or costs anything.
	if _, err := image.SplitPath(h.Name); err != nil {
		return err
	}
	base := path.Base("/" + h.Name)
	switch {
	case base == opaqueName:
		return t.makeOpaque(h.Name)
	case strings.HasPrefix(base, whiteoutPrefix+whiteoutPrefix):
		return nil // other notes of the filesystem that the layer was made on
	case strings.HasPrefix(base, whiteoutPrefix):
		return t.whiteOut(path.Join(path.Dir("/"+h.Name), strings.TrimPrefix(base, whiteoutPrefix)), h.Name)
	}
	n := &Node{Mode: uint32(h.Mode & permMask), UID: uint32(h.Uid), GID: uint32(h.Gid), MTime: h.ModTime}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		return t.file(h, n, body, content)
	case tar.TypeDir:
		n.Kind = image.Dir
		if err := t.Put(h.Name, n); err != nil {
			return err
		}
		if h.PAXRecords[opaqueXattr] == "y" {
			return t.makeOpaque(h.Name + "/" + opaqueName)
		}
		return nil
	case tar.TypeSymlink:
		n.Kind, n.Target = image.Symlink, h.Linkname
		return t.Put(h.Name, n)
	case tar.TypeLink:
		return t.link(h.Name, h.Linkname)
	case tar.TypeChar:
		if h.Devmajor == 0 && h.Devminor == 0 {
			return t.whiteOut("/"+h.Name, h.Name)
		}
	}
	return nil
}

func (t *Tree) file(h *tar.Header, n *Node, body io.Reader, content keepContent) (err error) {
	if err := t.hold(h.Name, h.Size); err != nil {
		return err
	}
	n.Kind, n.Size = image.File, h.Size
	if h.Size > 0 {
		if n.data, n.offset, err = content(h, body); err != nil {
			return layerError(err)
		}
	}
	return t.Put(h.Name, n)
}

// link gives a file a second name. One of a lower layer is shared as a copy, so
// that each name has a layer of its own.
func (t *Tree) link(name, existing string) error {
	parts, err := image.SplitPath(existing)
	if err != nil {
		return err
	}
	n := t.Lookup("/" + strings.Join(parts, "/"))
	if n != nil && n.whiteout { // gVisor makes all of them names of one device
		return t.Put(name, &Node{whiteout: true})
	}
	if n == nil || n.IsDir() {
		return image.Refuse(name, "it is a hard link to a name that is no file of this image")
	}
	if n.layer != t.layer {
		copied := *n
		n = &copied
	}
	return t.Put(name, n)
}

// whiteOut takes away what lower layers have under a name.
func (t *Tree) whiteOut(name, said string) error {
	parts, err := image.SplitPath(name)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return image.Refuse(said, "it takes the root away")
	}
	if t.delta {
		return t.Put(name, &Node{whiteout: true})
	}
	dir, _ := t.find("/"+strings.Join(parts[:len(parts)-1], "/"), true)
	if parent := t.Lookup(dir); parent.IsDir() {
		t.prune(parent, parts[len(parts)-1])
	}
	return nil
}

// makeOpaque takes away what lower layers have in a directory.
func (t *Tree) makeOpaque(marker string) error {
	parts, err := image.SplitPath(path.Dir("/" + marker))
	if err != nil {
		return err
	}
	dir := "/" + strings.Join(parts, "/")
	real, n := t.find(dir, true)
	if t.delta {
		if n == nil {
			n = newDir()
			n.implied = true
			if err := t.Put(real, n); err != nil {
				return err
			}
		}
		if n.IsDir() {
			n.opaque = true
		}
		return nil
	}
	if n.IsDir() {
		t.pruneDir(n)
	}
	return nil
}

// prune removes a name unless this layer has put it there or something below.
func (t *Tree) prune(dir *Node, name string) {
	n := dir.children[name]
	if n == nil {
		return
	}
	if n.IsDir() {
		t.pruneDir(n)
	}
	if n.layer != t.layer && len(n.children) == 0 {
		delete(dir.children, name)
	}
}

// pruneDir does so for all that is in a directory. Doing it once a layer is
// enough, and keeps a layer that asks for it a million times cheap.
func (t *Tree) pruneDir(dir *Node) {
	if dir.pruned == t.layer {
		return
	}
	dir.pruned = t.layer
	for name := range dir.children {
		t.prune(dir, name)
	}
}
