package template

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// lockPoll is how often a lock that another process holds is tried again. flock
// itself cannot be given up when the caller goes away.
const lockPoll = 20 * time.Millisecond

// lock takes the exclusive lock on path, which is made if it is missing, and
// waits while another process has it. Locks end with their process, so that
// nobody has to clean up after one that was killed.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fileError("lock", path, err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fileError("lock", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, api.Errorf(api.CodeCancelled, "cannot wait for another Brig that makes the same thing: %w", context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}

// hold takes a shared lock on a file that is about to be used for as long as
// this catalogue is open, so that no other process removes it meanwhile. It
// returns fs.ErrNotExist when the file is gone.
func (c *Catalog) hold(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[path] != nil {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		f.Close() // somebody is removing it
		return os.ErrNotExist
	}
	// It may have been removed between open and lock.
	locked, err1 := f.Stat()
	named, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(locked, named) {
		f.Close()
		return os.ErrNotExist
	}
	c.held[path] = f
	return nil
}

// unhold gives up one file.
func (c *Catalog) unhold(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.held[path]; f != nil {
		f.Close()
		delete(c.held, path)
	}
}

// unused takes the exclusive lock on a file if nobody holds it. It is how a
// sweep knows that it may remove something.
func unused(path string) (unlock func(), ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, false
	}
	return func() { f.Close() }, true
}
