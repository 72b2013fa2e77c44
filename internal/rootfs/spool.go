package rootfs

import (
	"context"
	"io"
	"os"

	"github.com/brigdev/brig/api"
)

// Spool keeps the content of files that come in a stream. It is one file, which
// the caller makes, closes and removes.
type Spool struct {
	f   *os.File
	end int64
}

// NewSpool appends to f, which is empty.
func NewSpool(f *os.File) *Spool { return &Spool{f: f} }

// add copies size bytes and tells where they are.
func (s *Spool) add(ctx context.Context, r io.Reader, size int64) (int64, error) {
	at := s.end
	n, err := io.Copy(io.NewOffsetWriter(s.f, at), &stoppable{ctx, io.LimitReader(r, size)})
	s.end += n
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return at, err
}

// stoppable reads until its context ends.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, api.Errorf(api.CodeCancelled, "cannot go on with a layer: %w", context.Cause(s.ctx))
	}
	return s.r.Read(p)
}
