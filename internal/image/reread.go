package image

import (
	"bytes"
	"context"
	"os"
	"time"

	"gvisor.dev/gvisor/pkg/erofs"

	"github.com/brigdev/brig/api"
)

// AddImage puts what is in an image that this package made: to change a few
// files of a template without building it again.
func (w *Writer) AddImage(ctx context.Context, path string, keep Keep) error {
	img, err := Open(path)
	if err != nil {
		return err
	}
	defer img.Close()
	return img.Walk(ctx, keep, func(e Entry, first string, data []byte) error {
		if first != "" {
			return w.Link(e.Path, first)
		}
		return w.Put(ctx, e, bytes.NewReader(data))
	})
}

// Image is an image of this package, open for reading. Close it.
type Image struct{ img *erofs.Image }

// Open maps an image. Errors: CodeNotFound, CodeInvalid.
func Open(path string) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, api.Errorf(api.CodeNotFound, "cannot read the image %s: because of %w", path, err)
	}
	img, err := erofs.OpenImage(f)
	if err != nil {
		f.Close()
		return nil, api.Errorf(api.CodeInvalid, "cannot read the image %s: because of %w", path, err)
	}
	return &Image{img}, nil
}

// Close unmaps the image, and with it all data that Walk gave.
func (i *Image) Close() { i.img.Close() }

// Visit gets one name of an image. Of a further name of a file that was visited
// before, first is that earlier one. The data of a File is valid until Close.
type Visit func(e Entry, first string, data []byte) error

// Walk visits the root, and what is below it by name.
func (i *Image) Walk(ctx context.Context, keep Keep, visit Visit) error {
	w := imageWalk{img: i.img, keep: keep, visit: visit, seen: map[uint64]string{}}
	return w.node(ctx, i.img.RootNid(), "", 0)
}

type imageWalk struct {
	img   *erofs.Image
	keep  Keep
	visit Visit
	seen  map[uint64]string
}

func (w *imageWalk) node(ctx context.Context, nid uint64, path string, depth int) error {
	in, err := w.img.Inode(nid)
	if err != nil {
		return readError(path, err)
	}
	e := Entry{Path: path, Mode: uint32(in.Mode() & permMask), UID: in.UID(), GID: in.GID(),
		MTime: time.Unix(int64(in.Mtime()), int64(in.MtimeNsec()))}
	first, linked := w.seen[nid]
	if !in.IsDir() && in.Nlink() > 1 && !linked {
		w.seen[nid] = path
	}
	switch {
	case in.IsRegular():
		ranges, err := in.DataRanges()
		if err != nil {
			return readError(path, err)
		}
		e.Size = int64(in.Size())
		return w.visit(e, first, ranges[0].Bytes)
	case in.IsSymlink():
		e.Kind = Symlink
		if e.Target, err = in.Readlink(); err != nil {
			return readError(path, err)
		}
		return w.visit(e, first, nil)
	case in.IsDir() && depth <= maxDepth:
		e.Kind = Dir
		return w.dir(ctx, e, &in, depth)
	}
	return nil
}

func (w *imageWalk) dir(ctx context.Context, e Entry, in *erofs.Inode, depth int) error {
	if err := ctx.Err(); err != nil {
		return api.Errorf(api.CodeCancelled, "cannot go on with an image: %w", err)
	}
	if err := w.visit(e, "", nil); err != nil {
		return err
	}
	return in.IterDirents(func(name string, _ uint8, nid uint64) error {
		child := e.Path + "/" + name
		if name == "." || name == ".." || !w.keep(child) {
			return nil
		}
		return w.node(ctx, nid, child, depth+1)
	})
}
