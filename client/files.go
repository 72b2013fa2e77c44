package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/brigdev/brig/api"
)

// Files are those of a sandbox. Paths are absolute; contents are exact bytes of
// any size.
type Files struct{ sb *Sandbox }

// FileEntry is one name inside.
type FileEntry struct {
	Name   string       `json:"name"`
	Path   string       `json:"path"`
	Kind   api.FileKind `json:"kind"`
	IsDir  bool         `json:"is_dir"`
	Size   int64        `json:"size"`
	Mode   string       `json:"mode"`  // octal, as 0644
	MTime  float64      `json:"mtime"` // Unix seconds
	Target string       `json:"target,omitempty"`
}

func (f Files) call(ctx context.Context, method, what, path string, out any) error {
	return f.sb.c.call(ctx, method, f.sb.path(what), url.Values{"path": {path}}, nil, out)
}

// Read gives a regular file's content. CodeNotFound; CodeInvalid for what is no
// regular file.
func (f Files) Read(ctx context.Context, path string) ([]byte, error) {
	var b bytes.Buffer
	err := f.ReadTo(ctx, path, &b)
	return b.Bytes(), err
}

// ReadTo copies a regular file's content to w.
func (f Files) ReadTo(ctx context.Context, path string, w io.Writer) error {
	body, err := f.Open(ctx, path, 0, -1)
	if err != nil {
		return err
	}
	return copyReply(ctx, w, body)
}

// Open gives length bytes of a regular file from offset; -1 means to its end. The
// caller closes it.
func (f Files) Open(ctx context.Context, path string, offset, length int64) (io.ReadCloser, error) {
	h := http.Header{}
	if offset > 0 || length >= 0 {
		last := ""
		if length >= 0 {
			last = fmt.Sprint(offset + length - 1)
		}
		h.Set("Range", fmt.Sprintf("bytes=%d-%s", offset, last))
	}
	resp, err := f.sb.c.send(ctx, http.MethodGet, f.sb.path("/fs"), url.Values{"path": {path}}, nil, h)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Write makes a file of what r gives, parents included; an old one is replaced.
func (f Files) Write(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error {
	q := url.Values{"path": {path}, "mode": {fmt.Sprintf("%04o", mode.Perm())}}
	return f.put(ctx, "/fs", q, r)
}

func (f Files) put(ctx context.Context, what string, q url.Values, r io.Reader) error {
	resp, err := f.sb.c.send(ctx, http.MethodPut, f.sb.path(what), q, io.NopCloser(r), nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// List gives the names in a directory.
func (f Files) List(ctx context.Context, path string) ([]FileEntry, error) {
	var reply struct {
		Entries []FileEntry `json:"entries"`
	}
	err := f.call(ctx, http.MethodGet, "/fs/dir", path, &reply)
	return reply.Entries, err
}

// Stat describes one name; a final symbolic link is not followed. CodeNotFound.
func (f Files) Stat(ctx context.Context, path string) (FileEntry, error) {
	var e FileEntry
	err := f.call(ctx, http.MethodGet, "/fs/stat", path, &e)
	return e, err
}

// Mkdir makes a directory and its parents.
func (f Files) Mkdir(ctx context.Context, path string) error {
	return f.call(ctx, http.MethodPost, "/fs/dir", path, nil)
}

// Remove deletes a file, or a directory with all that is in it.
func (f Files) Remove(ctx context.Context, path string) error {
	return f.call(ctx, http.MethodDelete, "/fs", path, nil)
}

// Rename moves a name.
func (f Files) Rename(ctx context.Context, from, to string) error {
	return f.sb.c.call(ctx, http.MethodPost, f.sb.path("/fs/move"), url.Values{"path": {from}, "to": {to}}, nil, nil)
}

// Tar gives a directory as a tar stream, with names relative to it. The caller
// closes it. What is in it is the guest's: unpack it with care.
func (f Files) Tar(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := f.sb.c.send(ctx, http.MethodGet, f.sb.path("/fs/tar"), url.Values{"path": {path}}, nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Untar unpacks a tar stream into a directory, which is made.
func (f Files) Untar(ctx context.Context, path string, r io.Reader) error {
	return f.put(ctx, "/fs/tar", url.Values{"path": {path}}, r)
}
