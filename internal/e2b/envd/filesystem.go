package envd

import (
	"context"
	"io/fs"
	"path"
	"strconv"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// maxEntries bounds the listing of one directory, with what is below it.
const maxEntries = 100_000

// entry describes one name, as protocol buffers' JSON has it: what is zero is left
// out and large numbers are text.
type entry struct {
	Name          string `json:"name"`
	Type          string `json:"type,omitempty"`
	Path          string `json:"path"`
	Size          string `json:"size,omitempty"`
	Mode          uint32 `json:"mode,omitempty"`
	Permissions   string `json:"permissions,omitempty"`
	Owner         string `json:"owner,omitempty"`
	Group         string `json:"group,omitempty"`
	ModifiedTime  string `json:"modifiedTime,omitempty"`
	SymlinkTarget string `json:"symlinkTarget,omitempty"`
}

type entryReply struct {
	Entry entry `json:"entry"`
}

type pathRequest struct {
	Path string `json:"path"`
}

// onPath runs do with the box and an absolute path, for the user of the call.
func (c *call) onPath(p string, do func(box host.Session, p string) error) error {
	return c.with(c.userOf(), func(box host.Session, as account) error {
		p, err := as.abs(p)
		if err != nil {
			return err
		}
		return do(box, p)
	})
}

// describe is info, of the name p. A symbolic link has the type of what it leads
// to, because clients leave out what is neither file nor directory.
func describe(ctx context.Context, box host.Session, p string, info api.FileInfo) (entry, error) {
	e := entry{Name: path.Base(p), Path: p, Permissions: permissions(info)}
	if info.Size > 0 {
		e.Size = strconv.FormatInt(info.Size, 10)
	}
	e.Owner, e.Group = ownerName(info.UID), ownerName(info.GID)
	if info.ModTime > 0 {
		e.ModifiedTime = time.Unix(0, info.ModTime).UTC().Format(time.RFC3339Nano)
	}
	e.Mode = info.Mode & 0o7777
	if info.Kind == api.FileSymlink {
		e.SymlinkTarget = info.Target
		target, err := follow(ctx, box, p)
		switch {
		case err == nil:
			e.SymlinkTarget, info.Kind = target.Path, target.Kind
		case api.CodeOf(err) != api.CodeNotFound && rpcErrorOf(err).Code != codeInvalid:
			return e, err
		}
	}
	e.Type = map[api.FileKind]string{api.FileRegular: "FILE_TYPE_FILE", api.FileDir: "FILE_TYPE_DIRECTORY", api.FileSymlink: "FILE_TYPE_SYMLINK"}[info.Kind]
	return e, nil
}

// permissions are as Go writes them: "-rw-r--r--", "drwxr-xr-x", "Lrwxrwxrwx".
func permissions(info api.FileInfo) string {
	kind := map[api.FileKind]fs.FileMode{api.FileDir: fs.ModeDir, api.FileSymlink: fs.ModeSymlink, api.FileOther: fs.ModeIrregular}[info.Kind]
	return (kind | fs.FileMode(info.Mode&0o777)).String()
}

func lookAt(ctx context.Context, box host.Session, p string) (entry, error) {
	info, err := box.Stat(ctx, p)
	if err != nil {
		return entry{}, err
	}
	return describe(ctx, box, p, info)
}

func statPath(_ *Server, c *call, req pathRequest) (r entryReply, err error) {
	err = c.onPath(req.Path, func(box host.Session, p string) (err error) {
		r.Entry, err = lookAt(c.Context(), box, p)
		return err
	})
	return r, err
}

type listRequest struct {
	Path  string `json:"path"`
	Depth uint32 `json:"depth"`
}

type listReply struct {
	Entries []entry `json:"entries"`
}

// listDir lists a directory and, for a depth above 1, the directories in it.
func listDir(_ *Server, c *call, req listRequest) (r listReply, err error) {
	r.Entries = []entry{}
	err = c.onPath(req.Path, func(box host.Session, p string) error {
		dir, err := directory(c.Context(), box, p)
		if err != nil {
			return err
		}
		return r.walk(c.Context(), box, dir, p, max(req.Depth, 1))
	})
	return r, err
}

// directory is where the directory p is, symbolic links followed.
func directory(ctx context.Context, box host.Session, p string) (string, error) {
	info, err := follow(ctx, box, p)
	if err != nil {
		return "", err
	}
	if info.Kind != api.FileDir {
		return "", &rpcError{codeInvalid, "cannot use the path: because it is not a directory"}
	}
	return info.Path, nil
}

// walk lists dir, which is called as, down to a depth. Symbolic links in it are
// not followed.
func (r *listReply) walk(ctx context.Context, box host.Session, dir, as string, depth uint32) error {
	list, err := box.List(ctx, dir, maxEntries-len(r.Entries))
	if err != nil {
		return err
	}
	for _, info := range list {
		name := path.Base(info.Path)
		e, err := describe(ctx, box, path.Join(dir, name), info)
		if err != nil {
			return err
		}
		e.Path = path.Join(as, name)
		r.Entries = append(r.Entries, e)
		if info.Kind == api.FileDir && depth > 1 && len(r.Entries) < maxEntries {
			err := r.walk(ctx, box, path.Join(dir, name), e.Path, depth-1)
			if err != nil && api.CodeOf(err) != api.CodeNotFound { // it went away meanwhile
				return err
			}
		}
	}
	return nil
}

func makeDir(_ *Server, c *call, req pathRequest) (r entryReply, err error) {
	err = c.onPath(req.Path, func(box host.Session, p string) error {
		switch info, err := follow(c.Context(), box, p); {
		case err == nil && info.Kind == api.FileDir:
			return &rpcError{codeExists, "cannot make the directory: because it exists"}
		case err == nil:
			return &rpcError{codeInvalid, "cannot make the directory: because there is something else of that name"}
		case api.CodeOf(err) != api.CodeNotFound:
			return err
		}
		if err := box.Mkdir(c.Context(), p, 0o755); err != nil {
			return err
		}
		r.Entry, err = lookAt(c.Context(), box, p)
		return err
	})
	return r, err
}

type moveRequest struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
}

// movePath moves a name; the new one's parents are made.
func movePath(_ *Server, c *call, req moveRequest) (r entryReply, err error) {
	err = c.with(c.userOf(), func(box host.Session, as account) error {
		from, err := as.abs(req.Source)
		if err != nil {
			return err
		}
		to, err := as.abs(req.Destination)
		if err != nil {
			return err
		}
		if _, err := box.Stat(c.Context(), from); err != nil {
			return err
		}
		if err := box.Mkdir(c.Context(), path.Dir(to), 0o755); err != nil {
			return err
		}
		if err := box.Rename(c.Context(), from, to); err != nil {
			return err
		}
		r.Entry, err = lookAt(c.Context(), box, to)
		return err
	})
	return r, err
}

// removePath removes a name with all that is below it. That there is none is fine.
func removePath(_ *Server, c *call, req pathRequest) (empty, error) {
	return empty{}, c.onPath(req.Path, func(box host.Session, p string) error {
		if p == "/" {
			return &rpcError{codeInvalid, "cannot remove /: because the sandbox lives in it (kill the sandbox)"}
		}
		err := box.Remove(c.Context(), p, true)
		if api.CodeOf(err) == api.CodeNotFound {
			return nil
		}
		return err
	})
}
