package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"path"
	"syscall"

	"github.com/brigdev/brig/api"
)

// Stat describes one name; a final symlink is not followed.
func (s *session) Stat(ctx context.Context, name string) (api.FileInfo, error) {
	name, err := s.fileOp(name)
	if err != nil {
		return api.FileInfo{}, err
	}
	info, err := s.client.Stat(ctx, name)
	return info, s.fileError(ctx, "stat "+name, err)
}

// Read copies up to max bytes from offset of a regular file; max < 0 means all.
func (s *session) Read(ctx context.Context, name string, offset, max int64, w io.Writer) (api.FileInfo, error) {
	name, err := s.fileOp(name)
	if err != nil {
		return api.FileInfo{}, err
	}
	if offset < 0 {
		return api.FileInfo{}, api.Errorf(api.CodeInvalid, "cannot read %s: because the offset %d is negative", name, offset).WithFix("begin at 0")
	}
	if max < 0 {
		max = math.MaxInt64
	}
	info, err := s.client.Read(ctx, name, offset, max, w)
	return info, s.fileError(ctx, "read "+name, err)
}

// Mkdir makes a directory and its parents; one that exists is no error.
func (s *session) Mkdir(ctx context.Context, name string, mode fs.FileMode) error {
	name, err := s.fileOp(name)
	if err != nil {
		return err
	}
	return s.fileError(ctx, "make the directory "+name, s.client.Mkdir(ctx, name, mode))
}

// Remove deletes a name; a directory with its content only if recursive.
func (s *session) Remove(ctx context.Context, name string, recursive bool) error {
	name, err := s.fileOp(name)
	if err != nil {
		return err
	}
	return s.fileError(ctx, "remove "+name, s.client.Remove(ctx, name, recursive))
}

// Rename moves a name, replacing a file that is in its way; parents are made.
func (s *session) Rename(ctx context.Context, from, to string) error {
	from, err := s.fileOp(from)
	if err != nil {
		return err
	}
	to = insidePath(to)
	err = s.client.Rename(ctx, from, to)
	if errors.Is(err, syscall.ENOENT) {
		if _, missing := s.client.Stat(ctx, from); missing == nil { // then it is the parent that is not there
			if err = s.client.Mkdir(ctx, path.Dir(to), 0o755); err == nil {
				err = s.client.Rename(ctx, from, to)
			}
		}
	}
	return s.fileError(ctx, "rename "+from, err)
}

// Symlink makes a symbolic link; target is stored as it is.
func (s *session) Symlink(ctx context.Context, target, name string) error {
	name, err := s.fileOp(name)
	if err != nil {
		return err
	}
	return s.fileError(ctx, "make the link "+name, s.client.Symlink(ctx, target, name))
}
