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
	f, err := os.Open(path)
	if err != nil {
		return api.Errorf(api.CodeNotFound, "cannot read the image %s: because of %w", path, err)
	}
	img, err := erofs.OpenImage(f)
	if err != nil {
		f.Close()
		return api.Errorf(api.CodeInvalid, "cannot read the image %s: because of %w", path, err)
	}
	defer img.Close()
	c := copier{w: w, img: img, keep: keep, seen: map[uint64]string{}}
	return c.copy(ctx, img.RootNid(), "", 0)
}

type copier struct {
	w    *Writer
	img  *erofs.Image
	keep Keep
	seen map[uint64]string
}

func (c *copier) copy(ctx context.Context, nid uint64, path string, depth int) error {
	in, err := c.img.Inode(nid)
	if err != nil {
		return readError(path, err)
	}
	e := Entry{Path: path, Mode: uint32(in.Mode() & permMask), UID: in.UID(), GID: in.GID(),
		MTime: time.Unix(int64(in.Mtime()), int64(in.MtimeNsec()))}
	if first, ok := c.seen[nid]; ok {
		return c.w.Link(path, first)
	}
	if !in.IsDir() && in.Nlink() > 1 {
		c.seen[nid] = path
	}
	switch {
	case in.IsRegular():
		return c.file(ctx, e, &in)
	case in.IsSymlink():
		e.Kind = Symlink
		if e.Target, err = in.Readlink(); err != nil {
			return readError(path, err)
		}
		return c.w.Put(ctx, e, nil)
	case in.IsDir() && depth <= maxDepth:
		e.Kind = Dir
		return c.dir(ctx, e, &in, depth)
	}
	return nil
}

func (c *copier) file(ctx context.Context, e Entry, in *erofs.Inode) error {
	ranges, err := in.DataRanges()
	if err != nil {
		return readError(e.Path, err)
	}
	e.Size = int64(in.Size())
	return c.w.Put(ctx, e, bytes.NewReader(ranges[0].Bytes))
}

func (c *copier) dir(ctx context.Context, e Entry, in *erofs.Inode, depth int) error {
	if err := c.w.Put(ctx, e, nil); err != nil {
		return err
	}
	return in.IterDirents(func(name string, _ uint8, nid uint64) error {
		child := e.Path + "/" + name
		if name == "." || name == ".." || !c.keep(child) {
			return nil
		}
		return c.copy(ctx, nid, child, depth+1)
	})
}
