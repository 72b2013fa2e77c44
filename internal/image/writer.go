package image

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

const (
	blockBits = 12
	blockSize = 1 << blockBits
)

// Writer writes one image. File data goes straight to the file; only names and
// attributes are kept in memory. It is for one goroutine.
type Writer struct {
	file    *os.File
	out     *bufio.Writer
	content hash.Hash // of every byte after the superblock's block
	limits  Limits
	root    *node
	block   uint32 // the next free one
	entries int
	bytes   int64
	clamp   time.Time
}

// Info is what came out.
type Info struct {
	Digest  string // "sha256:…" of the file
	Bytes   int64  // of the file
	Entries int
}

// NewWriter starts an image in f, which must be empty. The caller closes f.
func NewWriter(f *os.File, limits Limits) (*Writer, error) {
	if limits.Entries == 0 {
		limits.Entries = defaultEntries
	}
	if limits.Bytes == 0 {
		limits.Bytes = defaultBytes
	}
	if _, err := f.Seek(blockSize, io.SeekStart); err != nil {
		return nil, writeError(err)
	}
	w := &Writer{
		file:    f,
		content: sha256.New(),
		limits:  limits,
		root:    newNode(Entry{Kind: Dir, Mode: 0o755}),
		block:   1,
	}
	w.out = bufio.NewWriterSize(io.MultiWriter(f, w.content), 256<<10)
	return w, nil
}

// ClampTimes gives Epoch to every later entry that is not older than t.
func (w *Writer) ClampTimes(t time.Time) { w.clamp = t }

// Has tells whether the image has a name; symlinks are not followed.
func (w *Writer) Has(path string) bool {
	parts, err := SplitPath(path)
	return err == nil && w.root.lookup(parts) != nil
}

// Put adds one name. A File's data is read from r, which must hold Size bytes.
func (w *Writer) Put(ctx context.Context, e Entry, r io.Reader) error {
	if !w.clamp.IsZero() && !e.MTime.Before(w.clamp) {
		e.MTime = Epoch
	}
	n := newNode(e)
	switch e.Kind {
	case File:
		// The name is checked first: what is refused costs no data.
		if err := w.place(e.Path, n); err != nil {
			return err
		}
		return w.data(ctx, e, n, r)
	case Symlink:
		if len(e.Target) == 0 || len(e.Target) > maxTarget || strings.IndexByte(e.Target, 0) >= 0 {
			return Refuse(e.Path, "its symlink target is empty, too long or has a NUL byte in it")
		}
	}
	return w.place(e.Path, n)
}

// Link gives a file or symlink that is there already a second name.
func (w *Writer) Link(path, existing string) error {
	parts, err := SplitPath(existing)
	if err != nil {
		return err
	}
	n := w.root.lookup(parts)
	if n == nil || n.isDir() {
		return Refuse(path, "it is a hard link to a name that is no file of this image")
	}
	return w.place(path, n)
}

func (w *Writer) data(ctx context.Context, e Entry, n *node, r io.Reader) error {
	if e.Size < 0 || e.Size > w.limits.Bytes-w.bytes {
		return Refuse(e.Path, "the files are larger than "+api.FormatBytes(w.limits.Bytes)+" together")
	}
	w.bytes += e.Size
	n.size = uint64(e.Size)
	if e.Size == 0 {
		return nil
	}
	n.block = w.block
	src := &source{ctx: ctx, r: io.LimitReader(r, e.Size)}
	got, err := io.Copy(w.out, src)
	switch {
	case src.err != nil:
		return readError(e.Path, src.err)
	case err != nil:
		return writeError(err)
	case got != e.Size:
		return readError(e.Path, io.ErrUnexpectedEOF)
	}
	w.block += uint32((e.Size + blockSize - 1) >> blockBits)
	return w.pad(uint64(e.Size))
}

// pad fills up the block in which n bytes ended.
func (w *Writer) pad(n uint64) error {
	var zero [blockSize]byte
	if tail := n % blockSize; tail != 0 {
		if _, err := w.out.Write(zero[tail:]); err != nil {
			return writeError(err)
		}
	}
	return nil
}

// Finish writes what describes the files, and the superblock. It does not sync
// the file. The writer is of no use afterwards.
func (w *Writer) Finish(ctx context.Context) (Info, error) {
	entries, err := w.Seal()
	if err != nil {
		return Info{}, err
	}
	digest, size, err := Digest(ctx, w.file)
	return Info{Digest: digest, Bytes: size, Entries: entries}, err
}

// Seal is Finish for an image that is used once and needs no digest: it does not
// read all of it again. It gives the number of inodes.
func (w *Writer) Seal() (int, error) {
	p := plan(w.root, w.block)
	if err := p.write(w.out); err != nil {
		return 0, writeError(err)
	}
	if err := w.out.Flush(); err != nil {
		return 0, writeError(err)
	}
	super := p.superblock(w.content.Sum(nil))
	if _, err := w.file.WriteAt(super, 0); err != nil {
		return 0, writeError(err)
	}
	return p.inodes, nil
}

// Digest reads a whole file and gives "sha256:…" and its size.
func Digest(ctx context.Context, f *os.File) (string, int64, error) {
	h := sha256.New()
	src := &source{ctx: ctx, r: io.NewSectionReader(f, 0, 1<<62)}
	n, err := io.CopyBuffer(h, src, make([]byte, 256<<10))
	if err != nil {
		return "", 0, fmt.Errorf("cannot read the whole of %s: %w", f.Name(), err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), n, nil
}

// source reads until its context ends, and remembers its own error apart from
// that of whoever it is copied to.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = api.Errorf(api.CodeCancelled, "cannot go on with an image: %w", err)
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// readError says which entry of a source could not be read. What has a code
// already keeps it.
func readError(path string, err error) error {
	if classed := (*api.Error)(nil); errors.As(err, &classed) {
		return err
	}
	return api.Errorf(api.CodeInvalid, "cannot read %q of a root filesystem: because of %w", path, err).
		WithFix("make it again: it is cut short, or changed while it was read")
}

func writeError(err error) error {
	return api.Errorf(api.CodeInternal, "cannot write an image: because of %w", err).
		WithFix("check the space left in the data directory")
}
