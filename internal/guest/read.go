package guest

import (
	"bytes"
	"context"
	"io"
	"math"

	"github.com/brigdev/brig/api"
)

// Get copies a regular file out. At most limit bytes reach w; the guest refuses
// a larger file with EFBIG, a symlink with ELOOP, a directory with EISDIR and
// anything else that is not a regular file with EINVAL. Size in the answer is
// what was received. A failing w gives a WriterError; one that blocks holds back
// everything that is asked of this guest, which Read does not.
func (c *Client) Get(ctx context.Context, path string, limit int64, w io.Writer) (api.FileInfo, error) {
	limit = max(limit, 0)
	st, err := c.request(ctx, TypeGet, Fields(nil).String(path).U64(uint64(limit)), TypeEnd, TypeErr)
	if err != nil {
		return api.FileInfo{}, err
	}
	defer c.leave(st)
	info, err := c.fileEntry(ctx, st)
	if err != nil {
		return api.FileInfo{}, err
	}
	info.Path = path
	info.Size, err = c.content(ctx, st, limit, w)
	return info, err
}

// content passes a file's DATA frames on, up to END, and says how much that was.
func (c *Client) content(ctx context.Context, st *stream, limit int64, w io.Writer) (n int64, err error) {
	for {
		f, err := c.recv(ctx, st)
		if err != nil {
			return n, err
		}
		switch f.Type {
		case TypeData:
			if n += int64(len(f.Payload)); n > limit {
				return n, c.violation("it sent more than the %d bytes of a file that were asked for", limit)
			}
			if _, err := w.Write(f.Payload); err != nil {
				return n, &WriterError{Err: err}
			}
		case TypeEnd:
			return n, nil
		case TypeErr:
			return n, c.refusal(f)
		default:
			return n, c.violation("it sent a frame of type %d amid a file", f.Type)
		}
	}
}

// fileEntry is firstEntry of an answer that has the content of a regular file.
func (c *Client) fileEntry(ctx context.Context, st *stream) (api.FileInfo, error) {
	info, err := c.firstEntry(ctx, st)
	switch {
	case err != nil:
		return api.FileInfo{}, err
	case info.Kind != api.FileRegular:
		return api.FileInfo{}, c.violation("it sent the content of what it calls a %s", info.Kind)
	}
	return info, nil
}

// piece is how much Read asks for at a time, and so what it holds of a file.
const piece = 1 << 20

// Read copies a regular file from offset, up to limit bytes or, below 0, to its
// end. Size in the answer is the whole file's. It asks piece by piece and keeps
// each until w has taken it, so that a slow w holds back nobody else: a file that
// is written to meanwhile is read as it changes. Errors are those of Get, without
// EFBIG.
func (c *Client) Read(ctx context.Context, path string, offset, limit int64, w io.Writer) (api.FileInfo, error) {
	if offset < 0 {
		return api.FileInfo{}, api.Errorf(api.CodeInvalid, "cannot read a file: because its offset %d is negative", offset).WithFix("use an offset of 0 or more")
	}
	if limit < 0 {
		limit = math.MaxInt64
	}
	var first api.FileInfo
	var buf bytes.Buffer
	for at := offset; ; {
		buf.Reset()
		want := min(piece, limit-(at-offset))
		info, err := c.readPiece(ctx, path, at, want, &buf)
		if err != nil {
			return first, err
		}
		if at == offset {
			first = info
		}
		n := int64(buf.Len())
		if _, err := w.Write(buf.Bytes()); err != nil {
			return first, &WriterError{Err: err}
		}
		if at += n; n < piece || at-offset == limit || at > math.MaxInt64-piece {
			return first, nil
		}
	}
}

func (c *Client) readPiece(ctx context.Context, path string, at, want int64, w io.Writer) (api.FileInfo, error) {
	st, err := c.request(ctx, TypeRead, Fields(nil).String(path).U64(uint64(at)).U64(uint64(want)), TypeEnd, TypeErr)
	if err != nil {
		return api.FileInfo{}, err
	}
	defer c.leave(st)
	info, err := c.fileEntry(ctx, st)
	if err != nil {
		return api.FileInfo{}, err
	}
	info.Path = path
	_, err = c.content(ctx, st, want, w)
	return info, err
}
