package snapshot

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/brigdev/brig/api"
)

// Filter chooses snapshots. An empty field chooses all.
type Filter struct {
	Sandbox  string // taken from
	Owner    string
	Template string
}

func (f Filter) matches(m api.Snapshot) bool {
	return (f.Sandbox == "" || f.Sandbox == m.Sandbox) &&
		(f.Owner == "" || f.Owner == m.Owner) &&
		(f.Template == "" || f.Template == m.Template)
}

// Get gives a snapshot's manifest. Errors: CodeInvalid (id), CodeNotFound (none,
// or expired), CodeUnavailable (damaged, or of another format).
func (s *Store) Get(_ context.Context, id string) (api.Snapshot, error) {
	if err := checkID(id); err != nil {
		return api.Snapshot{}, err
	}
	return s.read(id)
}

// List gives the manifests of those that can be used, newest first. Damaged ones
// are left out and logged.
func (s *Store) List(ctx context.Context, f Filter) ([]api.Snapshot, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	list := []api.Snapshot{}
	for _, id := range ids {
		if ctx.Err() != nil {
			return nil, cancelled("list the snapshots", ctx)
		}
		m, err := s.read(id)
		switch {
		case err == nil && f.matches(m):
			list = append(list, m)
		case err != nil && api.CodeOf(err) != api.CodeNotFound:
			s.log.Warn("a snapshot is left out", "snapshot", id, "error", err)
		}
	}
	slices.SortFunc(list, func(a, b api.Snapshot) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Usage is what all snapshots have together, damaged and expired ones too.
func (s *Store) Usage() (bytes int64, count int) {
	bytes, count, err := s.usage()
	if err != nil {
		s.log.Warn("the store of snapshots cannot be measured", "error", err)
	}
	return bytes, count
}

func (s *Store) usage() (bytes int64, count int, err error) {
	ids, err := s.ids()
	if err != nil {
		return 0, 0, err
	}
	for _, id := range ids {
		n, err := sizeOf(s.path(id, filesName))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed a moment ago, or nothing in it
		}
		if err != nil {
			return 0, 0, err
		}
		bytes += n
		count++
	}
	return bytes, count, nil
}

// read gives the manifest of a snapshot that has not expired.
func (s *Store) read(id string) (api.Snapshot, error) {
	m, err := readManifest(s.path(id))
	_, there := os.Lstat(s.path(id)) // it may have been removed meanwhile
	switch {
	case errors.Is(there, fs.ErrNotExist):
		return api.Snapshot{}, notFound(id)
	case errors.Is(err, errNoFormat):
		return api.Snapshot{}, api.Errorf(api.CodeUnavailable, "cannot use the snapshot %s: because of %w", id, err).
			WithFix("use the Brig that made it")
	case err != nil:
		return api.Snapshot{}, damaged(id, err)
	}
	if m.ExpiresAt.IsZero() || s.now().Before(m.ExpiresAt) {
		return m, nil
	}
	if by, err := s.pins(id); err != nil || len(by) == 0 {
		return api.Snapshot{}, cmp.Or(err, error(notFound(id)))
	}
	return m, nil
}

// ids lists the names in the store that are snapshots'.
func (s *Store) ids() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fileError("read", s.dir, err)
	}
	var ids []string
	for _, e := range entries {
		if isID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// sizeOf is the size of the files in a directory.
func sizeOf(dir string) (sum int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fileError("read", dir, err)
	}
	for _, e := range entries {
		st, err := os.Lstat(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fileError("read", dir, err)
		}
		sum += st.Size()
	}
	return sum, nil
}
