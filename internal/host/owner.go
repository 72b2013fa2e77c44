package host

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// Names in a state directory:
//
//	gc.lock                   held, for moments, while owners come or are looked at
//	<pid>-<start>-<random>/   one owner: a Manager of one Brig process
//	    owner.lock            held by the owner for as long as it lives
//	    boxes/<id>.json       the journal, a file for each box
//
// The kernel drops a lock when its process ends, however it ends. So whoever can
// take an owner.lock knows that the owner is dead, which a pid alone does not say.
const (
	gcLockName    = "gc.lock"
	ownerLockName = "owner.lock"
	boxesDirName  = "boxes"
)

// owner is a directory whose lock this process holds: its own, or a dead one's
// that it has taken over to clean up.
type owner struct {
	dir  string
	lock *os.File
}

// register makes a directory for a new owner and locks it. The state-dir-wide
// lock keeps recovery from seeing the directory before it is locked.
func register(stateDir string) (*owner, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, badStateDir(err)
	}
	gc, err := lockFile(filepath.Join(stateDir, gcLockName), unix.LOCK_EX)
	if err != nil {
		return nil, badStateDir(err)
	}
	defer gc.Close()
	start, err := processStart()
	if err != nil {
		return nil, badStateDir(err)
	}
	dir, err := os.MkdirTemp(stateDir, strconv.Itoa(os.Getpid())+"-"+start+"-*")
	if err != nil {
		return nil, badStateDir(err)
	}
	lock, err := lockFile(filepath.Join(dir, ownerLockName), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, boxesDirName), 0o700)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, badStateDir(err)
	}
	return &owner{dir: dir, lock: lock}, nil
}

// remove deletes the directory, which must have no boxes left, and unlocks it.
// The state-dir-wide lock keeps recovery from making a new owner.lock in it
// between two steps.
func (o *owner) remove() error {
	defer o.lock.Close()
	if err := o.journal().removeDir(); err != nil {
		return err
	}
	gc, err := lockFile(filepath.Join(filepath.Dir(o.dir), gcLockName), unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody removed the whole state directory
	}
	if err != nil {
		return err
	}
	defer gc.Close()
	return os.RemoveAll(o.dir)
}

// release unlocks the directory and leaves it to the next recovery.
func (o *owner) release() { o.lock.Close() }

// owners lists the owners' directories, sorted.
func owners(stateDir string) ([]string, error) {
	entries, err := os.ReadDir(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, badStateDir(err)
	}
	var dirs []string
	for _, e := range entries {
		pid, _, ok := strings.Cut(e.Name(), "-")
		if _, err := strconv.Atoi(pid); ok && err == nil && e.IsDir() {
			dirs = append(dirs, filepath.Join(stateDir, e.Name()))
		}
	}
	return dirs, nil
}

// claim locks a dead owner's directory. It gives nil when the owner lives, or
// when somebody else is about to clean up. The caller holds the gc.lock.
func claim(dir string) (*owner, error) {
	lock, err := lockFile(filepath.Join(dir, ownerLockName), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, badStateDir(err)
	}
	return &owner{dir: dir, lock: lock}, nil
}

// lockFile opens a lock file, making it when needed, and takes an flock on it.
// Closing the file gives the lock back. The file is close-on-exec, as all that
// Go opens, so that no sandbox's process keeps a dead owner alive.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}

// processStart is when this process began, in clock ticks since boot: a pid
// comes again, a pid with this does not.
func processStart() (string, error) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return "", err
	}
	// The second field is a name in parentheses that may hold anything.
	if i := bytes.LastIndexByte(b, ')'); i >= 0 {
		if f := bytes.Fields(b[i+1:]); len(f) > 19 {
			return string(f[19]), nil
		}
	}
	return "", errors.New("/proc/self/stat is not as expected")
}

func badStateDir(err error) error {
	return api.Errorf(api.CodeUnavailable, "cannot use the state directory: because %w", err).
		WithFix("set BRIG_STATE to a directory on a local filesystem that you can write to")
}
