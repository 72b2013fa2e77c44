package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

// Tail reads the whole lines of a file that grows, and that another one may replace:
// that one is read from its beginning, because its order may be another one. A file
// that is not there yet has no lines.
type Tail struct {
	Path string
	At   int64 // offset of what comes next
	file *os.File
}

// ErrBeyond is for an offset behind the file's end.
var ErrBeyond = errors.New("the offset is behind the end")

// Close closes the file.
func (t *Tail) Close() {
	if t.file != nil {
		t.file.Close()
	}
}

// Copy writes the whole lines that were not written yet. Errors: ErrBeyond, w's.
func (t *Tail) Copy(w io.Writer) error {
	if err := t.reopen(); err != nil || t.file == nil {
		return err
	}
	st, err := t.file.Stat()
	if err != nil {
		return err
	}
	if t.At > st.Size() {
		return ErrBeyond
	}
	end, err := lastLineEnd(t.file, t.At, st.Size())
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.NewSectionReader(t.file, t.At, end-t.At))
	t.At += n
	return err
}

// reopen opens the file, or the one that took its place.
func (t *Tail) reopen() error {
	if t.file != nil {
		now, err1 := os.Stat(t.Path)
		old, err2 := t.file.Stat()
		if err1 != nil || err2 != nil || os.SameFile(now, old) {
			return nil // what is gone is read to its end
		}
		t.file.Close()
		t.file, t.At = nil, 0
	}
	f, err := os.Open(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	t.file = f
	return err
}

// lastLineEnd is behind the last line end between two offsets, or the first one.
func lastLineEnd(f io.ReaderAt, from, to int64) (int64, error) {
	b := make([]byte, 64<<10)
	for to > from {
		start := max(from, to-int64(len(b)))
		part := b[:to-start]
		if _, err := f.ReadAt(part, start); err != nil && err != io.EOF {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		to = start
	}
	return from, nil
}
