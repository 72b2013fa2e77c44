package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

// endGrace is how long a cancelled Put may take to tell the guest that nothing
// more comes.
const endGrace = time.Second

// Put writes a file inside, parents made, with the permission bits of mode. A
// small file is one Write to the connection. When r fails (ReaderError) or ctx
// ends on the way, the file may exist with a part of its content.
func (c *Client) Put(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error {
	return c.PutFor(ctx, nil, path, mode, r)
}

// PutFor is Put for another owner than the program's user, who is nil. A guest from
// an older snapshot gives the file to that one all the same.
func (c *Client) PutFor(ctx context.Context, owner *api.User, path string, mode fs.FileMode, r io.Reader) error {
	st, err := c.open(TypeOK, TypeErr)
	if err != nil {
		return err
	}
	defer c.leave(st)
	size := chunkSize(r)
	b := make([]byte, 0, size+len(path)+64)
	b, err = appendRequest(b, Frame{Type: TypePut, Stream: st.id, Payload: ownedBy(Fields(nil).String(path).U32(uint32(mode.Perm())), owner)})
	if err != nil {
		c.forget(st)
		return err
	}
	readErr, err := c.putContent(ctx, st, b, r, size)
	if err != nil {
		return err
	}
	if err := c.answer(ctx, st); err != nil {
		return err
	}
	return readErr
}

// ownedBy adds an owner to the fields of a request.
func ownedBy(f Fields, owner *api.User) Fields {
	if owner == nil {
		return f
	}
	return f.U32(owner.UID).U32(owner.GID)
}

// putContent sends b and what r gives, up to END. The reader's error comes
// first, so that the guest's stream is finished properly all the same.
func (c *Client) putContent(ctx context.Context, st *stream, b []byte, r io.Reader, size int) (readErr, err error) {
	for first := true; ; first = false {
		var last bool
		b, last, readErr = appendChunk(b, st.id, r, size)
		if last {
			b = AppendFrame(b, Frame{Type: TypeEnd, Stream: st.id})
		}
		if err := c.write(ctx, b); err != nil {
			if first {
				c.forget(st)
			} else {
				c.endPut(ctx, st)
			}
			return nil, err
		}
		if last {
			return readErr, nil
		}
		b = b[:0]
	}
}

// endPut tells the guest that a cancelled PUT has ended, if it listens.
func (c *Client) endPut(ctx context.Context, st *stream) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
	defer cancel()
	// An error means that the connection is lost, and then nobody waits for END.
	_ = c.write(ctx, AppendFrame(nil, Frame{Type: TypeEnd, Stream: st.id}))
}

// appendChunk appends a DATA frame with up to size bytes of r, and says whether
// r is at its end.
func appendChunk(b []byte, id uint32, r io.Reader, size int) (out []byte, last bool, err error) {
	start := len(b)
	b = slices.Grow(b, headerLen+size)[:start+headerLen+size]
	n, err := io.ReadFull(r, b[start+headerLen:])
	last = err != nil
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err != nil {
		err = &ReaderError{Err: err}
	}
	if n == 0 {
		return b[:start], last, err
	}
	putHeader(b[start:], TypeData, id, n)
	return b[:start+headerLen+n], last, err
}

// putHeader writes the header of a frame whose payload of n bytes is already in
// its place behind it.
func putHeader(b []byte, t Type, id uint32, n int) {
	binary.LittleEndian.PutUint32(b, uint32(5+n))
	b[4] = byte(t)
	binary.LittleEndian.PutUint32(b[5:], id)
}

// chunkSize is how much to read at a time: all of it and one byte, to see the
// end, when the size is known and small.
func chunkSize(r io.Reader) int {
	if n, ok := inMemory(r); ok && n < MaxData {
		return n + 1
	}
	return MaxData
}

// inMemory knows the readers that never block, and how much they hold.
func inMemory(r io.Reader) (int, bool) {
	switch r := r.(type) {
	case *bytes.Reader:
		return r.Len(), true
	case *strings.Reader:
		return r.Len(), true
	case *bytes.Buffer:
		return r.Len(), true
	}
	return 0, false
}
