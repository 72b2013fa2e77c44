package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/snapshot"
)

// snapshotDir is where the snapshots of sandboxes are. It is not "snapshots":
// there the catalogue of templates keeps what it bakes, and sweeps.
func snapshotDir(o Options) string { return filepath.Join(o.DataDir, "sandbox-snapshots") }

// ImagesInUse tells the catalogue of templates which images sandboxes and their
// snapshots need, of all Brig processes, and what needs each.
func ImagesInUse(o Options) func(ctx context.Context) (map[string]string, error) {
	return func(ctx context.Context) (used map[string]string, err error) {
		used = map[string]string{}
		sandboxes, err := host.ListAll(o.StateDir)
		if err != nil {
			return nil, err
		}
		for _, s := range sandboxes {
			used[s.Digest] = "the sandbox " + s.ID
		}
		if _, err := os.Stat(snapshotDir(o)); errors.Is(err, os.ErrNotExist) {
			return used, nil
		}
		store, err := snapshot.Open(snapshotDir(o), snapshot.Options{Log: o.Log})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		kept, err := store.List(ctx, snapshot.Filter{})
		for _, s := range kept {
			used[s.Digest] = "the snapshot " + s.ID
		}
		return used, err
	}
}
