package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
)

// sumChunk is how much is read at once, and how long a caller that went away
// waits.
const sumChunk = 1 << 20

// sumFile gives the SHA-256 of a file, in hexadecimal.
func sumFile(ctx context.Context, f *os.File) (string, error) {
	h := sha256.New()
	buf := make([]byte, sumChunk)
	for offset := int64(0); ; {
		if ctx.Err() != nil {
			return "", cancelled("read a snapshot", ctx)
		}
		n, err := f.ReadAt(buf, offset)
		h.Write(buf[:n])
		offset += int64(n)
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", fileError("read", f.Name(), err)
		}
	}
}

// openRegular opens a regular file for reading, and nothing else: no symbolic
// link is followed and no FIFO waited for.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, errors.New("it is a symbolic link")
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lstatDir wants a directory at path, not a link to one.
func lstatDir(path string) (fs.FileInfo, error) {
	st, err := os.Lstat(path)
	if err == nil && !st.IsDir() {
		err = errors.New("it is not a directory")
	}
	return st, err
}

// writeSynced makes a file that is on disk when it returns.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fileError("write", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fileError("write", path, err)
	}
	return nil
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	if err := durable.SyncDir(dir); err != nil {
		return fileError("write", dir, err)
	}
	return nil
}

// fileError says what could not be done with a file of the store.
func fileError(what, path string, err error) error {
	e := api.Errorf(api.CodeInternal, "cannot %s %s: because of %w", what, path, err)
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		e.Code = api.CodeExhausted
		return e.WithFix("free space there ('brig snapshot ls', 'brig snapshot rm ID'), or set BRIG_DATA to another directory")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		e.Code = api.CodeUnavailable
		return e.WithFix("set BRIG_DATA to a directory that you can write to")
	}
	return e
}

// unpath takes the path out of an error whose reader knows it.
func unpath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// quote shows what a file or a caller said, clipped.
func quote(s string) string {
	const most = 512
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
