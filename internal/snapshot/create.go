package snapshot

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/brigdev/brig/api"
)

// Create keeps a moment of a sandbox: fill has its files written into dir, which
// exists and is empty, and gives the manifest, all but ID, Format, Files and
// SizeBytes; CreatedAt is now if it is zero. The sandbox goes on when fill
// returns: checksums are made and everything is synced after that. The store's
// limit is looked at before, so that no sandbox stands still in vain, and after.
// An error of fill is returned as it is. Other errors: CodeInvalid (manifest),
// CodeExhausted (limit, disk), CodeCancelled, CodeInternal. Nothing is left after
// an error.
func (s *Store) Create(ctx context.Context, fill func(dir string) (api.Snapshot, error)) (api.Snapshot, error) {
	m, temp, err := s.fill(ctx, fill)
	if err != nil {
		return api.Snapshot{}, err
	}
	defer os.RemoveAll(temp) // nothing is left of it after the rename
	if m.Files, err = s.finish(ctx, filepath.Join(temp, filesName)); err != nil {
		return api.Snapshot{}, err
	}
	m.SizeBytes = 0
	for _, f := range m.Files {
		m.SizeBytes += f.Size
	}
	if err := s.describe(temp, m); err != nil {
		return api.Snapshot{}, err
	}
	if err := s.install(ctx, temp, m); err != nil {
		return api.Snapshot{}, err
	}
	s.log.Info("snapshot kept", "snapshot", m.ID, "sandbox", m.Sandbox, "bytes", m.SizeBytes, "paused_ms", m.PausedMS)
	return m, nil
}

// Temporary is Create for a fork, whose children are restored at once: the moment
// is kept for this process alone, in dir, until release is called. It is not
// listed, not synced and its manifest has no Files, so that the children need not
// wait for them; it ends with the process, whatever ends that. The errors are
// Create's.
func (s *Store) Temporary(ctx context.Context, fill func(dir string) (api.Snapshot, error)) (m api.Snapshot, dir string, release func(), err error) {
	m, temp, err := s.fill(ctx, fill)
	if err != nil {
		return api.Snapshot{}, "", nil, err
	}
	release = func() {
		if err := os.RemoveAll(temp); err != nil {
			s.log.Warn("a fork's files stay until Brig ends", "dir", temp, "error", err)
		}
	}
	return m, filepath.Join(temp, filesName), release, nil
}

// fill has a sandbox's files written into a new directory and checks that they
// fit in. The caller removes the directory.
func (s *Store) fill(ctx context.Context, fill func(dir string) (api.Snapshot, error)) (m api.Snapshot, temp string, err error) {
	if err := s.room(ctx, 1); err != nil { // at least a byte
		return api.Snapshot{}, "", err
	}
	id := newID()
	if temp, err = s.scratchPath(id); err != nil {
		return api.Snapshot{}, "", err
	}
	if m, err = s.fillDir(ctx, filepath.Join(temp, filesName), fill); err != nil {
		os.RemoveAll(temp) // else the next Open does it
		return api.Snapshot{}, "", err
	}
	m.ID = id
	return m, temp, nil
}

func (s *Store) fillDir(ctx context.Context, dir string, fill func(dir string) (api.Snapshot, error)) (api.Snapshot, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return api.Snapshot{}, fileError("make", dir, err)
	}
	s.at("empty")
	m, err := fill(dir)
	if err != nil {
		return api.Snapshot{}, err
	}
	s.at("filled")
	if m.CreatedAt.IsZero() {
		m.CreatedAt = s.now()
	}
	// Times as they are read back.
	m.Format, m.CreatedAt, m.ExpiresAt = api.SnapshotFormat, m.CreatedAt.UTC().Round(0), m.ExpiresAt.UTC().Round(0)
	if err := checkMeta(m); err != nil {
		return api.Snapshot{}, api.Errorf(api.CodeInvalid, "cannot keep a snapshot: because %w", err)
	}
	if m.SizeBytes, err = sizeOf(dir); err != nil {
		return api.Snapshot{}, err
	}
	return m, s.room(ctx, m.SizeBytes)
}

// finish syncs and sums the files that a driver wrote, all at once: the disk and
// the processor wait for one another otherwise.
func (s *Store) finish(ctx context.Context, dir string) ([]api.SnapshotFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fileError("read", dir, err)
	}
	if len(entries) == 0 || len(entries) > maxFiles {
		return nil, api.Errorf(api.CodeInternal, "cannot keep a snapshot: because the driver wrote %d files of it", len(entries))
	}
	files := make([]api.SnapshotFile, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for i, e := range entries {
		f, err := openRegular(filepath.Join(dir, e.Name()))
		if err != nil {
			g.Go(func() error {
				return api.Errorf(api.CodeInternal, "cannot keep a snapshot: because of the driver's file %s: %w", quote(e.Name()), err)
			})
			break
		}
		defer f.Close()
		g.Go(func() error { return syncFile(f) })
		g.Go(func() (err error) {
			files[i], err = describeFile(ctx, f)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s.at("summed")
	return files, syncDir(dir)
}

func syncFile(f *os.File) error {
	err := f.Chmod(0o600)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fileError("write", f.Name(), err)
	}
	return nil
}

func describeFile(ctx context.Context, f *os.File) (api.SnapshotFile, error) {
	st, err := f.Stat()
	if err != nil {
		return api.SnapshotFile{}, fileError("read", f.Name(), err)
	}
	sum, err := sumFile(ctx, f)
	return api.SnapshotFile{Name: filepath.Base(f.Name()), Size: st.Size(), SHA256: sum}, err
}

// describe writes all but the files, the manifest last.
func (s *Store) describe(temp string, m api.Snapshot) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return api.Errorf(api.CodeInvalid, "cannot keep a snapshot: because its manifest cannot be written: %w", err)
	}
	data = append(data, '\n')
	if len(data) > maxManifest {
		return api.Errorf(api.CodeInvalid, "cannot keep a snapshot: because its manifest has %d bytes, more than %d", len(data), maxManifest).
			WithFix("give the sandbox less environment and metadata")
	}
	if err := checkManifest(m); err != nil {
		return api.Errorf(api.CodeInternal, "cannot keep a snapshot: because %w", err)
	}
	if err := os.Mkdir(filepath.Join(temp, pinsName), 0o700); err != nil {
		return fileError("make", temp, err)
	}
	if err := writeSynced(filepath.Join(temp, sumName), []byte(manifestSum(data))); err != nil {
		return err
	}
	s.at("manifest summed")
	if err := writeSynced(filepath.Join(temp, manifestName), data); err != nil {
		return err
	}
	s.at("described")
	s.markChecked(temp, m)
	return syncDir(temp)
}

// install gives a snapshot its name.
func (s *Store) install(ctx context.Context, temp string, m api.Snapshot) error {
	done, err := s.exclusive(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := s.roomLocked(ctx, m.SizeBytes); err != nil {
		return err
	}
	s.at("about to be named")
	if err := os.Rename(temp, s.path(m.ID)); err != nil {
		return fileError("write", s.path(m.ID), err)
	}
	s.at("named")
	return syncDir(s.dir)
}

// room wants bytes to fit into the store beside what is there.
func (s *Store) room(ctx context.Context, bytes int64) error {
	done, err := s.exclusive(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.roomLocked(ctx, bytes)
}

// roomLocked is room for a caller that has the store's lock. What has expired
// makes room.
func (s *Store) roomLocked(ctx context.Context, bytes int64) error {
	used, count, err := s.usage()
	if err != nil {
		return err
	}
	if used <= s.max-bytes {
		return nil
	}
	if removed, err := s.collect(ctx, s.now()); err != nil || len(removed) == 0 {
		return s.full(used, count, bytes)
	}
	if used, count, err = s.usage(); err != nil {
		return err
	}
	if used > s.max-bytes {
		return s.full(used, count, bytes)
	}
	return nil
}

func (s *Store) full(used int64, count int, bytes int64) error {
	return api.Errorf(api.CodeExhausted, "cannot keep the snapshot: because it needs %s, and of the store's %s the %d that are there have %s",
		api.FormatBytes(bytes), api.FormatBytes(s.max), count, api.FormatBytes(used)).
		WithFix("remove some: 'brig snapshot ls', 'brig snapshot rm ID'")
}
