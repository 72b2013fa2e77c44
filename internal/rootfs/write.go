package rootfs

import (
	"archive/tar"
	"context"
	"io"
	"path"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/image"
)

// LoadImage puts what is in an image, which must stay open for as long as the
// tree is used.
func (t *Tree) LoadImage(ctx context.Context, img *image.Image, keep image.Keep) error {
	nodes := map[string]*Node{} // of files that have several names
	return img.Walk(ctx, keep, func(e image.Entry, first string, data []byte) error {
		if n := nodes[first]; first != "" && n != nil {
			return t.Put(e.Path, n)
		}
		n := &Node{Kind: e.Kind, Mode: e.Mode, UID: e.UID, GID: e.GID, MTime: e.MTime, Size: e.Size, Target: e.Target}
		if e.Kind == image.File && e.Size > 0 {
			n.data = bytesAt(data)
		}
		if !n.IsDir() {
			nodes[e.Path] = n
		}
		return t.Put(e.Path, n)
	})
}

// bytesAt is an io.ReaderAt without the bookkeeping of bytes.Reader.
type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Walk visits the root and everything below it, by name. Of a node that was
// visited under another name before, first is that name.
func (t *Tree) Walk(visit func(path string, n *Node, first string) error) error {
	seen := map[*Node]string{}
	var walk func(path string, n *Node) error
	walk = func(path string, n *Node) error {
		first := seen[n]
		if first == "" && !n.IsDir() {
			seen[n] = path
		}
		if err := visit(path, n, first); err != nil {
			return err
		}
		for _, name := range n.Names() {
			if err := walk(path+"/"+name, n.children[name]); err != nil {
				return err
			}
		}
		return nil
	}
	return walk("", t.root)
}

// WriteImage puts the tree into an image.
func (t *Tree) WriteImage(ctx context.Context, w *image.Writer, keep image.Keep) error {
	return t.Walk(func(p string, n *Node, first string) error {
		switch {
		case p != "" && !keep(p) || n.whiteout:
			return nil
		case first != "" && keep(first):
			return w.Link(p, first)
		}
		e := image.Entry{Path: p, Kind: n.Kind, Mode: n.Mode, UID: n.UID, GID: n.GID, MTime: n.MTime, Size: n.Size, Target: n.Target}
		return w.Put(ctx, e, n.Reader())
	})
}

// ClampTimes gives Epoch to everything that is not older than from.
func (t *Tree) ClampTimes(from time.Time) {
	_ = t.Walk(func(_ string, n *Node, _ string) error { // visit never fails
		if !n.MTime.Before(from) || n.MTime.Unix() < 0 {
			n.MTime = image.Epoch
		}
		return nil
	})
}

// WriteLayer writes a delta as a layer in its one canonical form: by name, with
// nothing in it but what a tree keeps. The same changes give the same bytes.
func (t *Tree) WriteLayer(ctx context.Context, out io.Writer, keep image.Keep) error {
	w := tar.NewWriter(out)
	err := t.Walk(func(p string, n *Node, first string) error {
		if p != "" && !keep(p) {
			return nil
		}
		if first != "" && !keep(first) {
			first = ""
		}
		return writeEntry(ctx, w, p, n, first)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

func writeEntry(ctx context.Context, w *tar.Writer, p string, n *Node, first string) error {
	h := &tar.Header{Name: p[min(1, len(p)):], Mode: int64(n.Mode), Uid: int(n.UID), Gid: int(n.GID), ModTime: n.MTime, Format: tar.FormatPAX}
	switch {
	case n.whiteout:
		return w.WriteHeader(&tar.Header{Name: path.Join(path.Dir(p), whiteoutPrefix+path.Base(p))[1:], Typeflag: tar.TypeReg, ModTime: image.Epoch, Format: tar.FormatPAX})
	case first != "":
		h.Typeflag, h.Linkname = tar.TypeLink, first[1:]
	case n.Kind == image.Symlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, n.Target
	case n.IsDir():
		return writeDir(w, h, n)
	default:
		h.Typeflag, h.Size = tar.TypeReg, n.Size
	}
	if err := w.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return layerWriteError(p, err)
	}
	_, err := io.Copy(w, &stoppable{ctx, n.Reader()})
	return layerWriteError(p, err)
}

// writeDir leaves out what is only on the way to something else: its attributes
// are those of the layers below.
func writeDir(w *tar.Writer, h *tar.Header, n *Node) error {
	if !n.implied {
		if h.Name == "" {
			h.Name = "."
		}
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		if err := w.WriteHeader(h); err != nil {
			return layerWriteError(h.Name, err)
		}
	}
	if !n.opaque {
		return nil
	}
	name := path.Join("/", h.Name, opaqueName)[1:]
	return layerWriteError(name, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, ModTime: image.Epoch, Format: tar.FormatPAX}))
}

func layerWriteError(name string, err error) error {
	if err == nil || api.CodeOf(err) != api.CodeInternal {
		return err
	}
	return api.Errorf(api.CodeInternal, "cannot write %q into a layer: because of %w", name, err).
		WithFix("check the space left in the data directory")
}
