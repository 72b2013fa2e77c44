package jetstream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/store"
)

// acquire takes the lock on a store's directory, for as long as the file it
// returns is open. The kernel gives it up when the process dies, however.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, dirError(path, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, dirError(path, err)
		}
		holder := "unknown"
		if b, err := io.ReadAll(io.LimitReader(f, 32)); err == nil && len(b) > 0 {
			holder = strings.TrimSpace(string(b))
		}
		return nil, api.Errorf(api.CodeConflict, "cannot open the journal: because another brig (pid %s) is running this batch", holder).
			WithFix("wait for it or stop it with: kill -INT %s; look at it with: brig batch status DIR", holder)
	}
	// The pid is for people; the lock holds without it, on a full disk too.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintln(f, os.Getpid())
	}
	return f, nil
}

// smallValue is what an update may have that can use half of the reserve.
const smallValue = 64 << 10

// room says whether n more bytes can be written without touching the reserve.
// A record is written once, and a block of the stream may be rewritten beside
// itself to make it compact, so twice the bytes are asked for. A small update
// may use half of the reserve: what was begun can then be noted as ended, or as
// not begun, when nothing new fits any more.
func (s *Store) room(n int, update bool) error {
	reserve := s.reserve
	if update && n <= smallValue {
		reserve /= 2
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return dirError(s.dir, err)
	}
	free, need := int64(fs.Bavail)*fs.Bsize, reserve+2*int64(n)
	if free >= need {
		return nil
	}
	return api.Errorf(api.CodeExhausted, "cannot write to the journal: because the disk of %s has %s free and %s are needed: %w",
		s.dir, api.FormatBytes(free), api.FormatBytes(need), store.ErrFull).
		WithFix("free some space there, then run the same command again: it resumes")
}

func dirError(path string, err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fullError("open the journal", path)
	}
	return api.Errorf(api.CodeInvalid, "cannot open the journal: because %s cannot be used: %w", path, err).
		WithFix("give a directory on a local disk that you can write to")
}

func fullError(what, path string) error {
	return api.Errorf(api.CodeExhausted, "cannot %s: because the disk of %s has no room: %w", what, path, store.ErrFull).
		WithFix("free some space there, then run the same command again: it resumes")
}
