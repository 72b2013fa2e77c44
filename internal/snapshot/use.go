package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// Need is what a host restores with. All of it has to match.
type Need struct {
	Driver string
	Key    string // the driver's build, CPU features
	Digest string // of the template's root filesystem
}

// Use gives the directory of a snapshot's files for a restore. Until release is
// called nobody removes it. Sizes are compared each time; the files are read
// whole once after each boot, and when anything about one looks different from
// then. Errors: CodeInvalid (id), CodeNotFound (none, or expired),
// CodeUnavailable (not of need, naming what differs; or damaged), CodeCancelled.
func (s *Store) Use(ctx context.Context, id string, need Need) (dir string, release func(), err error) {
	if err := checkID(id); err != nil {
		return "", nil, err
	}
	f, err := lockDir(s.path(id), unix.LOCK_SH)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errHeld) { // held: it is being removed
		return "", nil, notFound(id)
	}
	if err != nil {
		return "", nil, damaged(id, unpath(err))
	}
	if err := s.usable(ctx, id, need); err != nil {
		unlock(f)
		return "", nil, err
	}
	return s.path(id, filesName), sync.OnceFunc(func() { unlock(f) }), nil
}

// usable decides about a snapshot that the caller holds.
func (s *Store) usable(ctx context.Context, id string, need Need) error {
	m, err := s.read(id)
	if err != nil {
		return err
	}
	for _, f := range []struct{ name, has, needs string }{
		{"driver", m.Driver, need.Driver}, {"key", m.Key, need.Key}, {"digest", m.Digest, need.Digest},
	} {
		if f.has != f.needs {
			return api.Errorf(api.CodeUnavailable, "cannot restore the snapshot %s: because its %s has %s where this host's has %s",
				id, f.name, quote(others(f.has, f.needs)), quote(others(f.needs, f.has))).
				WithFix("restore it with the Brig, the host and the template that it was made with, or make a new one")
		}
	}
	if err := s.intact(ctx, m); err != nil {
		if api.CodeOf(err) == api.CodeCancelled {
			return err
		}
		return damaged(id, err)
	}
	return nil
}

// others gives the words of a that are not in b: two keys with a hundred CPU
// features differ in one. Those that differ in nothing else are given whole.
func others(a, b string) string {
	has := strings.Fields(b)
	words := slices.DeleteFunc(strings.Fields(a), func(w string) bool { return slices.Contains(has, w) })
	if len(words) == 0 && len(strings.Fields(a)) == len(has) {
		return a
	}
	return strings.Join(words, " ")
}

// intact tells whether a snapshot has the files that it was made with.
func (s *Store) intact(ctx context.Context, m api.Snapshot) error {
	dir := s.path(m.ID)
	if err := checkSizes(filepath.Join(dir, filesName), m.Files); err != nil {
		return err
	}
	if isChecked(dir, m) {
		return nil
	}
	select { // 64 clones of one snapshot: one reads it, 63 look at the mark
	case s.check <- struct{}{}:
		defer func() { <-s.check }()
	case <-ctx.Done():
		return cancelled("wait for a snapshot to be checked", ctx)
	}
	if isChecked(dir, m) {
		return nil
	}
	if err := checkSums(ctx, filepath.Join(dir, filesName), m.Files); err != nil {
		return err
	}
	s.markChecked(dir, m)
	return nil
}

// checkSizes wants exactly these files, regular and of their sizes.
func checkSizes(dir string, files []api.SnapshotFile) error {
	if _, err := lstatDir(dir); err != nil {
		return fmt.Errorf("of its directory %s: %w", filesName, unpath(err))
	}
	want := map[string]bool{}
	for _, f := range files {
		st, err := os.Lstat(filepath.Join(dir, f.Name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("its file %s is missing", f.Name)
		case err != nil:
			return fmt.Errorf("of its file %s: %w", f.Name, unpath(err))
		case !st.Mode().IsRegular():
			return fmt.Errorf("its file %s is not a regular file", f.Name)
		case st.Size() != f.Size:
			return fmt.Errorf("its file %s has %d bytes and not %d", f.Name, st.Size(), f.Size)
		}
		want[f.Name] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("its files cannot be listed: %w", unpath(err))
	}
	for _, e := range entries {
		if !want[e.Name()] {
			return fmt.Errorf("it has a file %s that its manifest does not list", quote(e.Name()))
		}
	}
	return nil
}

// checkSums reads files whole, several at once.
func checkSums(ctx context.Context, dir string, files []api.SnapshotFile) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, want := range files {
		g.Go(func() error {
			f, err := openRegular(filepath.Join(dir, want.Name))
			if err != nil {
				return fmt.Errorf("of its file %s: %w", want.Name, unpath(err))
			}
			defer f.Close()
			sum, err := sumFile(ctx, f)
			if err == nil && sum != want.SHA256 {
				err = fmt.Errorf("the content of its file %s has changed", want.Name)
			}
			return err
		})
	}
	return g.Wait()
}

// identity names the present content of a snapshot's files cheaply: as long as
// boot, sizes, times and inodes are the same, nobody has changed them.
func identity(dir string, m api.Snapshot) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	lines := []string{strings.TrimSpace(string(boot))}
	paths := []string{manifestName}
	for _, f := range m.Files {
		paths = append(paths, filepath.Join(filesName, f.Name))
	}
	for _, path := range paths {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, path), &st); err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprintf("%s %d %d %d %d", path, st.Size, st.Ino, st.Mtim.Nano(), st.Ctim.Nano()))
	}
	return strings.Join(lines, "\n") + "\n", nil
}

func isChecked(dir string, m api.Snapshot) bool {
	now, err := identity(dir, m)
	if err != nil {
		return false
	}
	then, err := readSmall(filepath.Join(dir, checkedName))
	return err == nil && string(then) == now
}

// markChecked notes that the files were read whole and are right. Without the
// note they are read again, so that failing is no error.
func (s *Store) markChecked(dir string, m api.Snapshot) {
	now, err := identity(dir, m)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, checkedName), []byte(now), 0o600)
	}
	if err != nil {
		s.log.Debug("a checked snapshot could not be marked", "error", err)
	}
}

func notFound(id string) *api.Error {
	return api.Errorf(api.CodeNotFound, "cannot find the snapshot %s: because there is none with this id", id).
		WithFix("see 'brig snapshot ls' for those that exist")
}

func damaged(id string, why error) *api.Error {
	return api.Errorf(api.CodeUnavailable, "cannot use the snapshot %s: because %w", id, why).
		WithFix("it is lost: remove it with 'brig snapshot rm %s'", id)
}
