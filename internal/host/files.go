package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/guest"
)

// insidePath makes a path inside absolute: what is relative is below /work. The
// guest resolves it inside its own root, so that a host path is never involved.
func insidePath(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(api.WorkDir, p)
}

// Put writes a file inside, parents made.
func (s *sandbox) Put(ctx context.Context, name string, mode fs.FileMode, r io.Reader) error {
	name, err := s.fileOp(name)
	if err != nil {
		return err
	}
	return s.fileError(ctx, "put "+name, s.client.Put(ctx, name, mode, r))
}

// Get copies a regular file out, at most max bytes of it.
func (s *sandbox) Get(ctx context.Context, name string, max int64, w io.Writer) (api.FileInfo, error) {
	name, err := s.fileOp(name)
	if err != nil {
		return api.FileInfo{}, err
	}
	info, err := s.client.Get(ctx, name, max, w)
	if errors.Is(err, syscall.EFBIG) {
		return info, api.Errorf(api.CodeInvalid, "cannot get %s: because it is larger than %s", name, api.FormatBytes(max)).
			WithFix("allow more, or make it smaller")
	}
	return info, s.fileError(ctx, "get "+name, err)
}

// List describes one directory, at most max names.
func (s *sandbox) List(ctx context.Context, dir string, max int) ([]api.FileInfo, error) {
	dir, err := s.fileOp(dir)
	if err != nil {
		return nil, err
	}
	list, err := s.client.List(ctx, dir, max)
	return list, s.fileError(ctx, "list "+dir, err)
}

func (s *sandbox) fileOp(name string) (string, error) {
	return insidePath(name), s.ready()
}

// refusals are the things that the guest may say are wrong with a file.
var refusals = []struct {
	errno syscall.Errno
	code  api.Code
	why   string
}{
	{syscall.ENOENT, api.CodeNotFound, "there is no such file"},
	{syscall.ENOTDIR, api.CodeNotFound, "it, or a name above it, is no directory"},
	{syscall.ELOOP, api.CodeInvalid, "it is a symbolic link"},
	{syscall.EISDIR, api.CodeInvalid, "it is a directory"},
	{syscall.EINVAL, api.CodeInvalid, "it is no regular file"},
	{syscall.ENAMETOOLONG, api.CodeInvalid, "the name is too long"},
	{syscall.EEXIST, api.CodeConflict, "there is something of that name"},
	{syscall.ENOTEMPTY, api.CodeConflict, "the directory is not empty"},
	{syscall.EBUSY, api.CodeConflict, "it is in use"},
	{syscall.EXDEV, api.CodeInvalid, "the two names are on different filesystems"},
	{syscall.EACCES, api.CodeInvalid, "the sandbox does not permit it"},
	{syscall.EPERM, api.CodeInvalid, "the sandbox does not permit it"},
	{syscall.EROFS, api.CodeInvalid, "the sandbox does not permit it"},
}

// fileError classes a failed file operation. The guest may say which of a few
// ordinary things is wrong with the file; anything else that it says, or does to
// the connection, is a broken platform.
func (s *sandbox) fileError(ctx context.Context, doing string, err error) error {
	var classed *api.Error
	var reader *guest.ReaderError
	var writer *guest.WriterError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &reader), errors.As(err, &writer):
		return api.Errorf(api.CodeInvalid, "cannot %s: because %w", doing, err)
	case errors.As(err, &classed):
		return err
	case !s.usable():
		return s.errGone()
	case ctx.Err() != nil:
		return cancelled(ctx, doing)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return api.Errorf(api.CodeInvalid, "cannot %s: because the disk of the sandbox is full: %w", doing, err).
			WithFix("give it more than %s with --disk", api.FormatBytes(s.limits.DiskBytes))
	}
	for _, r := range refusals {
		if errors.Is(err, r.errno) {
			return api.Errorf(r.code, "cannot %s: because %s", doing, r.why).WithFix("check the path inside the sandbox")
		}
	}
	return api.Errorf(api.CodeInternal, "cannot %s: because %w", doing, err)
}

// Reset makes the sandbox ready for another program of the same trust domain.
// When that fails, the sandbox is destroyed: nothing may run in what is left.
func (s *sandbox) Reset(ctx context.Context) error {
	if !s.reuse {
		return api.Errorf(api.CodeUnsupported, "cannot reset sandbox %s: because it was made for one program", s.id).
			WithFix("make sandboxes that are reset with Reuse")
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	within, cancel := context.WithTimeout(ctx, resetTimeout)
	defer cancel()
	err := s.client.Reset(within)
	if err == nil {
		return nil
	}
	gone := !s.usable()
	s.discard(ctx)
	switch {
	case gone:
		return s.errGone()
	case ctx.Err() != nil:
		return cancelled(ctx, "reset the sandbox")
	case errors.Is(err, syscall.ENOTSUP):
		return api.Errorf(api.CodeUnsupported, "cannot reset sandbox %s: because isolation %s has nothing to reset to", s.id, s.driver.Rung()).
			WithFix("use a sandbox for each program")
	}
	return api.Errorf(api.CodeInternal, "cannot reset sandbox %s: because %w", s.id, err)
}
