// Package snapshot is the store of sandbox snapshots on this machine's disk: kept
// moments of running sandboxes, each one an immutable directory.
//
//	<dir>/lock               held for moments: one process at a time changes names
//	<dir>/tmp/<process>/     half-made and half-removed ones; locked while its process lives
//	<dir>/snap-<id>/         a snapshot; whoever restores from it has a shared lock on it
//	    files/               what the driver wrote: memory, disk, devices
//	    manifest.sum         SHA-256 of the manifest
//	    manifest.json        api.Snapshot: what it is, with a checksum of each file
//	    checked              which files were read whole since this boot, and found right
//	    pins/<name>          who wants it kept: hibernated sandboxes
//
// A snapshot is made in tmp and gets its name by one rename after everything is
// on disk; it is removed by a rename the other way. So a name always means a
// whole snapshot, whatever is killed when.
//
// A child names its parent by id only and shares no files with it. So a parent
// may be removed while its children stay.
package snapshot

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options configure a store. All have defaults.
type Options struct {
	// MaxBytes is what all snapshots may have together. 0 means 20 GiB, or a
	// quarter of the file system if that is less.
	MaxBytes int64
	Log      *slog.Logger     // default: discard
	Now      func() time.Time // default: time.Now
}

const defaultMaxBytes = 20 << 30

// Store is the snapshots of one directory. All methods may be called
// concurrently, by several processes too.
type Store struct {
	dir string
	max int64
	log *slog.Logger
	now func() time.Time

	turn  chan struct{} // who of this process may ask for the store's lock
	check chan struct{} // who of this process may read a snapshot whole

	mu      sync.Mutex
	scratch *os.File // this process's directory in tmp, locked; nil once closed

	at func(step string) // for tests that kill a process between two steps
}

// Open opens the store in dir, which is made if it is missing, and removes what
// killed processes left half-done there. Close it. Errors: CodeUnavailable when
// dir cannot be written, CodeInternal.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{
		dir: dir, max: o.MaxBytes, log: o.Log, now: o.Now,
		turn: make(chan struct{}, 1), check: make(chan struct{}, 1), at: func(string) {},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := os.MkdirAll(s.path("tmp"), 0o700); err != nil {
		return nil, fileError("make", s.path("tmp"), err)
	}
	if s.max <= 0 {
		s.max = defaultMax(dir)
	}
	if err := s.openScratch(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close removes what is half-made and gives up what the store holds, except
// snapshots that are in use: they stay so until they are released. It is
// idempotent; no Create may run.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scratch == nil {
		return nil
	}
	err := os.RemoveAll(s.scratch.Name())
	unlock(s.scratch)
	s.scratch = nil
	return err
}

// openScratch makes this process's own directory in tmp and removes those of
// processes that are gone.
func (s *Store) openScratch() error {
	done, err := s.exclusive(context.Background())
	if err != nil {
		return err
	}
	defer done()
	s.removeScratches()
	dir, err := os.MkdirTemp(s.path("tmp"), "brig-")
	if err != nil {
		return fileError("make a directory in", s.path("tmp"), err)
	}
	if s.scratch, err = lockDir(dir, unix.LOCK_EX); err != nil {
		return fileError("lock", dir, err)
	}
	return nil
}

// removeScratches removes the directories in tmp that nobody holds. The caller
// has the store's lock, so that none of them is being made.
func (s *Store) removeScratches() {
	left, err := os.ReadDir(s.path("tmp"))
	if err != nil {
		s.log.Warn("half-made snapshots stay", "error", err)
		return
	}
	for _, e := range left {
		dir := s.path("tmp", e.Name())
		f, err := lockDir(dir, unix.LOCK_EX)
		if err != nil {
			continue // its process lives
		}
		if err := os.RemoveAll(dir); err != nil {
			s.log.Warn("a half-made snapshot stays", "dir", dir, "error", err)
		}
		unlock(f)
	}
}

// scratchPath is a name in this process's own directory.
func (s *Store) scratchPath(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scratch == nil {
		return "", fileError("use", s.dir, os.ErrClosed)
	}
	return filepath.Join(s.scratch.Name(), name), nil
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func defaultMax(dir string) int64 {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Blocks == 0 {
		return defaultMaxBytes
	}
	return min(defaultMaxBytes, int64(fs.Blocks)*fs.Bsize/4)
}
