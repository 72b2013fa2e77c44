package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"path"
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
	st, err := c.open(TypeOK, TypeErr)
	if err != nil {
		return err
	}
	defer c.leave(st)
	size := chunkSize(r)
	b := make([]byte, 0, size+len(path)+64)
	b, err = appendRequest(b, Frame{Type: TypePut, Stream: st.id, Payload: Fields(nil).String(path).U32(uint32(mode.Perm()))})
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

// Get copies a regular file out. At most limit bytes reach w; the guest refuses
// a larger file with EFBIG, a symlink with ELOOP, a directory with EISDIR and
// anything else that is not a regular file with EINVAL. Size in the answer is
// what was received. A failing w gives a WriterError.
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
	info.Path, info.Size = path, 0
	for {
		f, err := c.recv(ctx, st)
		if err != nil {
			return info, err
		}
		switch f.Type {
		case TypeData:
			if info.Size += int64(len(f.Payload)); info.Size > limit {
				return info, c.violation("it sent more than the %d bytes of a file that were asked for", limit)
			}
			if _, err := w.Write(f.Payload); err != nil {
				return info, &WriterError{Err: err}
			}
		case TypeEnd:
			return info, nil
		case TypeErr:
			return info, c.refusal(f)
		default:
			return info, c.violation("it sent a frame of type %d amid a file", f.Type)
		}
	}
}

// fileEntry waits for the ENTRY that a GET's answer begins with.
func (c *Client) fileEntry(ctx context.Context, st *stream) (api.FileInfo, error) {
	f, err := c.recv(ctx, st)
	switch {
	case err != nil:
		return api.FileInfo{}, err
	case f.Type == TypeErr:
		return api.FileInfo{}, c.refusal(f)
	case f.Type != TypeEntry:
		return api.FileInfo{}, c.violation("it began a file with a frame of type %d", f.Type)
	}
	info, err := decodeEntry(f.Payload)
	switch {
	case err != nil:
		c.fail(err)
		return api.FileInfo{}, err
	case info.Kind != api.FileRegular:
		return api.FileInfo{}, c.violation("it sent the content of what it calls a %s", info.Kind)
	}
	return info, nil
}

// List describes the names of one directory, at most limit of them. Paths are dir
// joined with the name.
func (c *Client) List(ctx context.Context, dir string, limit int) ([]api.FileInfo, error) {
	limit = min(max(limit, 0), math.MaxInt32)
	st, err := c.request(ctx, TypeList, Fields(nil).String(dir).U32(uint32(limit)), TypeEnd, TypeErr)
	if err != nil {
		return nil, err
	}
	defer c.leave(st)
	list := []api.FileInfo{}
	for {
		f, err := c.recv(ctx, st)
		if err != nil {
			return nil, err
		}
		switch f.Type {
		case TypeEntry:
			info, err := decodeEntry(f.Payload)
			if err == nil {
				err = checkName(info.Path)
			}
			if err != nil {
				c.fail(err)
				return nil, err
			}
			if len(list) == limit {
				return nil, c.violation("it listed more than the %d names that were asked for", limit)
			}
			info.Path = path.Join(dir, info.Path)
			list = append(list, info)
		case TypeEnd:
			return list, nil
		case TypeErr:
			return nil, c.refusal(f)
		default:
			return nil, c.violation("it sent a frame of type %d amid a directory", f.Type)
		}
	}
}

// decodeEntry reads an ENTRY; Path is the name as the guest gave it.
func decodeEntry(payload []byte) (api.FileInfo, error) {
	r := NewReader(payload)
	kind, size, mode, name := r.Bytes(), r.U64(), r.U32(), r.Bytes()
	if r.Err != nil || len(kind) != 1 || size > math.MaxInt64 {
		return api.FileInfo{}, protocolErrorf("its ENTRY frame has malformed fields")
	}
	info := api.FileInfo{Path: string(name), Size: int64(size), Mode: mode & 0o7777}
	switch kind[0] {
	case 'f':
		info.Kind = api.FileRegular
	case 'd':
		info.Kind = api.FileDir
	case 'l':
		info.Kind = api.FileSymlink
	case 'o':
		info.Kind = api.FileOther
	default:
		return api.FileInfo{}, protocolErrorf("its ENTRY frame has the unknown kind %q", kind[0])
	}
	return info, nil
}

// checkName refuses what no directory holds, so that a name never leads
// elsewhere when it is joined to a path.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
		return protocolErrorf("it listed the impossible name %q", name[:min(len(name), maxErrText)])
	}
	return nil
}
