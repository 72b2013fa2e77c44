package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/brigdev/brig/api"
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
		sandboxes, err := host.ListAll(o.StateDir)
		if err != nil {
			return nil, err
		}
		used = neededBy(sandboxes)
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

// neededBy says which images sandboxes need. One that is kept ready for whoever
// comes is nobody's: its template may go, and no other is made like it then.
func neededBy(sandboxes []api.SandboxInfo) map[string]string {
	used := map[string]string{}
	for _, s := range sandboxes {
		if !s.Pooled || s.State != "creating" {
			used[s.Digest] = "the sandbox " + s.ID
		}
	}
	return used
}
