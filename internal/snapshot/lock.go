package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// lockPoll is how often a lock that another process holds is tried again. flock
// itself cannot be given up when the caller goes away.
const lockPoll = 10 * time.Millisecond

// errHeld says that somebody has a lock that excludes the one asked for.
var errHeld = errors.New("somebody holds it")

// exclusive gives the caller the names of the store: until done is called, no
// snapshot comes, goes, is pinned or unpinned, in this process or another.
func (s *Store) exclusive(ctx context.Context) (done func(), err error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, cancelled("wait for the store of snapshots", ctx)
	}
	f, err := s.lockStore(ctx)
	if err != nil {
		<-s.turn
		return nil, err
	}
	return func() { unlock(f); <-s.turn }, nil
}

func (s *Store) lockStore(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(s.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fileError("lock", s.path("lock"), err)
	}
	for {
		switch err := flock(f, unix.LOCK_EX); {
		case err == nil:
			return f, nil
		case !errors.Is(err, errHeld):
			f.Close()
			return nil, fileError("lock", s.path("lock"), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, cancelled("wait for another Brig that changes the store of snapshots", ctx)
		case <-time.After(lockPoll):
		}
	}
}

// lockDir opens a directory under a lock, without waiting for it. Errors:
// fs.ErrNotExist when the directory is not there, or is not that one any more;
// errHeld.
func lockDir(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := flock(f, how); err != nil {
		f.Close()
		return nil, err
	}
	// It may have been renamed between open and lock.
	locked, err1 := f.Stat()
	named, err2 := os.Lstat(path)
	if err1 != nil || err2 != nil || !os.SameFile(locked, named) {
		unlock(f)
		return nil, fs.ErrNotExist
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errHeld
		default:
			return err
		}
	}
}

// unlock gives a lock back at once. Closing alone would leave it to a child
// process that is between fork and exec.
func unlock(f *os.File) {
	unix.Flock(int(f.Fd()), unix.LOCK_UN) // closing does it too
	f.Close()
}

func cancelled(what string, ctx context.Context) error {
	return api.Errorf(api.CodeCancelled, "cannot %s: because the caller went away: %w", what, context.Cause(ctx))
}
