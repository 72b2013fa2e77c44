package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"

	"github.com/brigdev/brig/api"
)

// Keep decides which names of a source go into an image. A directory that is
// not kept may come back as the parent of something that is.
type Keep func(path string) bool

// All keeps everything.
func All(string) bool { return true }

// AddTar puts a tar stream, plain or gzip. Entries that a sandbox cannot use
// (devices, FIFOs) are left out; what tries to leave the root is refused with
// CodeInvalid.
func (w *Writer) AddTar(ctx context.Context, r io.Reader, keep Keep) error {
	src := bufio.NewReaderSize(&source{ctx: ctx, r: r}, 64<<10)
	plain := io.Reader(src)
	if head, _ := src.Peek(2); string(head) == "\x1f\x8b" {
		unzip, err := gzip.NewReader(src)
		if err != nil {
			return readError("the archive", err)
		}
		plain = unzip
	}
	end := &zeroTail{r: plain}
	archive := tar.NewReader(end)
	for n := 0; ; n++ {
		h, err := archive.Next()
		if err == io.EOF && n > 0 && end.zeros < 512 {
			err = io.ErrUnexpectedEOF // archive/tar forgives a missing end, we don't
		}
		if err == io.EOF {
			return notEmpty(n)
		}
		if err != nil {
			return readError(fmt.Sprintf("entry %d", n+1), err)
		}
		before := w.entries
		if err := w.addTarEntry(ctx, h, archive, keep); err != nil {
			return err
		}
		if w.entries > before {
			continue
		}
		// What is left out counts too: reading it takes time.
		if err := w.charge(h.Name, 0); err != nil {
			return err
		}
	}
}

// notEmpty refuses a source that gave nothing: a tool that failed before its
// first byte must not become a template.
func notEmpty(n int) error {
	if n > 0 {
		return nil
	}
	return api.Errorf(api.CodeInvalid, "cannot make an image: because the root filesystem is empty").
		WithFix("name a tar file or directory that holds a root filesystem")
}

// zeroTail counts the zeros at the end of what was read: a whole archive ends in
// at least a block of them.
type zeroTail struct {
	r     io.Reader
	zeros int
}

func (z *zeroTail) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	last := bytes.TrimRight(p[:n], "\x00")
	if len(last) > 0 {
		z.zeros = 0
	}
	z.zeros += n - len(last)
	return n, err
}

func (w *Writer) addTarEntry(ctx context.Context, h *tar.Header, r io.Reader, keep Keep) error {
	parts, err := SplitPath(h.Name)
	if err != nil {
		return err
	}
	if !keep(join(parts)) {
		return nil
	}
	e := Entry{Path: h.Name, Mode: uint32(h.Mode & permMask), UID: uint32(h.Uid), GID: uint32(h.Gid), MTime: h.ModTime}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		e.Kind, e.Size = File, h.Size
	case tar.TypeDir:
		e.Kind = Dir
	case tar.TypeSymlink:
		e.Kind, e.Target = Symlink, h.Linkname
	case tar.TypeLink:
		return w.Link(h.Name, h.Linkname)
	default:
		return nil
	}
	return w.Put(ctx, e, r)
}
