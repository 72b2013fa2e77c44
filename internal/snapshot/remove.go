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

// Remove deletes a snapshot, a damaged one too. Its children stay: they share no
// files with it. Errors: CodeInvalid (id), CodeNotFound, CodeConflict while it is
// pinned or in use.
func (s *Store) Remove(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	done, err := s.exclusive(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.remove(id)
}

// remove is Remove for a caller that has the store's lock.
func (s *Store) remove(id string) error {
	by, err := s.pins(id)
	if err != nil {
		return err
	}
	if len(by) > 0 {
		return api.Errorf(api.CodeConflict, "cannot remove the snapshot %s: because the hibernated sandbox %s needs it", id, by[0]).
			WithFix("wake or remove that sandbox first")
	}
	f, err := lockDir(s.path(id), unix.LOCK_EX)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notFound(id)
	case errors.Is(err, errHeld):
		return api.Errorf(api.CodeConflict, "cannot remove the snapshot %s: because a sandbox is being restored from it", id).
			WithFix("try again in a moment")
	case errors.Is(err, unix.ENOTDIR): // something else has its name; nobody uses that
	case err != nil:
		return fileError("lock", s.path(id), err)
	default:
		defer unlock(f)
	}
	trash, err := s.scratchPath("removed-" + id)
	if err != nil {
		return err
	}
	s.at("about to be removed")
	if err := os.Rename(s.path(id), trash); err != nil {
		return fileError("remove", s.path(id), err)
	}
	s.at("without a name")
	if err := syncDir(s.dir); err != nil {
		return err
	}
	if err := os.RemoveAll(trash); err != nil {
		s.log.Warn("a removed snapshot stays until Brig ends", "dir", trash, "error", err)
	}
	return nil
}

// GC removes the snapshots that have expired by now and that nobody uses or has
// pinned, and what killed processes left half-done. It goes on past one that
// cannot be removed and returns all errors.
func (s *Store) GC(ctx context.Context, now time.Time) (removed []api.Snapshot, err error) {
	done, err := s.exclusive(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	s.removeScratches()
	return s.collect(ctx, now)
}

// collect is GC for a caller that has the store's lock.
func (s *Store) collect(ctx context.Context, now time.Time) (removed []api.Snapshot, err error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, id := range ids {
		if ctx.Err() != nil {
			return removed, errors.Join(append(errs, cancelled("collect the snapshots", ctx))...)
		}
		m, err := readManifest(s.path(id))
		if err != nil || m.ExpiresAt.IsZero() || now.Before(m.ExpiresAt) {
			continue
		}
		switch err := s.remove(id); {
		case err == nil:
			s.log.Info("an expired snapshot is removed", "snapshot", id)
			removed = append(removed, m)
		case api.CodeOf(err) != api.CodeConflict:
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// Pin keeps a snapshot for the sandbox named by, across restarts: until Unpin it
// is neither removed nor does it expire. Pinning twice is no error. Errors:
// CodeInvalid, CodeNotFound.
func (s *Store) Pin(ctx context.Context, id, by string) error {
	if err := checkPin(id, by); err != nil {
		return err
	}
	done, err := s.exclusive(ctx)
	if err != nil {
		return err
	}
	defer done()
	if _, err := s.read(id); err != nil {
		return err
	}
	if err := writeSynced(s.path(id, pinsName, by), nil); err != nil {
		return err
	}
	return syncDir(s.path(id, pinsName))
}

// Unpin takes Pin back. Where there is no pin, or no snapshot, it does nothing.
func (s *Store) Unpin(ctx context.Context, id, by string) error {
	if err := checkPin(id, by); err != nil {
		return err
	}
	done, err := s.exclusive(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = os.Remove(s.path(id, pinsName, by))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fileError("remove", s.path(id, pinsName, by), err)
	}
	return syncDir(s.path(id, pinsName))
}

// Pins lists who has pinned a snapshot, sorted; nobody, where there is none.
func (s *Store) Pins(id string) ([]string, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	return s.pins(id)
}

func (s *Store) pins(id string) ([]string, error) {
	entries, err := os.ReadDir(s.path(id, pinsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // there is no such snapshot
	}
	if err != nil {
		return nil, fileError("read", s.path(id, pinsName), err)
	}
	var by []string
	for _, e := range entries {
		by = append(by, e.Name())
	}
	return by, nil
}

// checkPin refuses what must not become a path.
func checkPin(id, by string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if !isName(by) {
		return api.Errorf(api.CodeInvalid, "cannot pin a snapshot for %s: because that is no sandbox's id", quote(by))
	}
	return nil
}
