package guest

import (
	"context"
	"math"
	"path"
	"strings"

	"github.com/brigdev/brig/api"
)

// maxTarget bounds a symlink's target, as Linux does.
const maxTarget = 4096

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
			info, err := c.entry(f)
			if err != nil {
				return nil, err
			}
			if err := checkName(info.Path); err != nil {
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

// entry reads an ENTRY frame.
func (c *Client) entry(f Frame) (api.FileInfo, error) {
	info, err := decodeEntry(f.Payload)
	if err != nil {
		c.fail(err)
	}
	return info, err
}

// decodeEntry reads an ENTRY; Path is the name as the guest gave it.
func decodeEntry(payload []byte) (api.FileInfo, error) {
	r := NewReader(payload)
	kind, size, mode, name := r.Bytes(), r.U64(), r.U32(), r.Bytes()
	mtime, target := r.U64(), r.Bytes()
	var uid, gid uint32
	if r.More() {
		uid, gid = r.U32(), r.U32()
	}
	if r.Err != nil || len(kind) != 1 || size > math.MaxInt64 || mtime > math.MaxInt64 || len(target) > maxTarget {
		return api.FileInfo{}, protocolErrorf("its ENTRY frame has malformed fields")
	}
	info := api.FileInfo{Path: string(name), Size: int64(size), Mode: mode & 0o7777, ModTime: int64(mtime), Target: string(target), UID: uid, GID: gid}
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

// Stat describes one name; a final symlink is not followed.
func (c *Client) Stat(ctx context.Context, path string) (api.FileInfo, error) {
	st, err := c.request(ctx, TypeStat, Fields(nil).String(path), TypeEnd, TypeErr)
	if err != nil {
		return api.FileInfo{}, err
	}
	defer c.leave(st)
	info, err := c.firstEntry(ctx, st)
	if err != nil {
		return api.FileInfo{}, err
	}
	info.Path = path
	f, err := c.recv(ctx, st)
	if err == nil && f.Type != TypeEnd {
		err = c.violation("it sent a frame of type %d behind a file's description", f.Type)
	}
	return info, err
}

// firstEntry waits for the ENTRY that an answer about one file begins with.
func (c *Client) firstEntry(ctx context.Context, st *stream) (api.FileInfo, error) {
	f, err := c.recv(ctx, st)
	switch {
	case err != nil:
		return api.FileInfo{}, err
	case f.Type == TypeErr:
		return api.FileInfo{}, c.refusal(f)
	case f.Type != TypeEntry:
		return api.FileInfo{}, c.violation("it began a file with a frame of type %d", f.Type)
	}
	return c.entry(f)
}
