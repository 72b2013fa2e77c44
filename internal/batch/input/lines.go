package input

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/brigdev/brig/api"
)

// lines reads a stream line by line. The slice that next returns is valid until
// the next call. A byte order mark at the start, carriage returns and blank
// lines are passed over.
type lines struct {
	r    *bufio.Reader
	max  int
	n    int64 // number of the line that next returned
	long []byte
}

func newLines(r io.Reader, max int) *lines {
	l := &lines{r: bufio.NewReaderSize(r, 256<<10), max: max}
	if b, err := l.r.Peek(3); err == nil && bytes.Equal(b, []byte("\xef\xbb\xbf")) {
		_, _ = l.r.Discard(3)
	}
	return l
}

// next gives the next line that is not blank, without its end. Errors: io.EOF,
// *Rejected for a line over the cap, and the stream's own.
func (l *lines) next() ([]byte, error) {
	for {
		b, err := l.line()
		if err != nil {
			return nil, err
		}
		if b = bytes.TrimSpace(b); len(b) > 0 {
			return b, nil
		}
	}
}

// line gives the next line, blank or not.
func (l *lines) line() ([]byte, error) {
	b, err := l.r.ReadSlice('\n')
	if err == nil || err == io.EOF && len(b) > 0 {
		l.n++
		return b, nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, readError(err)
	}
	if cap(l.long) > 1<<20 {
		l.long = nil // one huge line must not hold its memory to the end
	}
	l.long = append(l.long[:0], b...)
	size := len(b)
	for errors.Is(err, bufio.ErrBufferFull) {
		b, err = l.r.ReadSlice('\n')
		if size += len(b); size <= l.max {
			l.long = append(l.long, b...)
		}
	}
	if err != nil && err != io.EOF {
		return nil, readError(err)
	}
	l.n++
	if size > l.max {
		return nil, l.reject("", "the line has %s and the cap is %s", api.FormatBytes(int64(size)), api.FormatBytes(int64(l.max)))
	}
	return l.long, nil
}

func (l *lines) reject(id, format string, args ...any) *Rejected {
	return &Rejected{Line: l.n, CustomID: id, Reason: fmt.Sprintf(format, args...)}
}

func readError(err error) error {
	if err == io.EOF {
		return err
	}
	return api.Errorf(api.CodeInternal, "cannot read the input: because %w", err)
}
