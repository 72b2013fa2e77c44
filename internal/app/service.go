package app

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/httpapi"
	"github.com/brigdev/brig/internal/snapshot"
)

// Service is the long-lived sandboxes of an App and their HTTP API. Close it
// before the App.
type Service struct {
	Sandboxes *control.Service
	API       *httpapi.Server
	Keys      *auth.Keys
	snapshots *snapshot.Store
}

// OpenKeys opens the keys of the services of a data directory.
func OpenKeys(o Options) (*auth.Keys, error) {
	if err := prepareDir("data", o.DataDir); err != nil {
		return nil, err
	}
	return auth.Open(filepath.Join(o.DataDir, "keys.json"))
}

// OpenSnapshots opens the snapshots of sandboxes of a data directory.
func OpenSnapshots(o Options) (*snapshot.Store, error) {
	return snapshot.Open(snapshotDir(o), snapshot.Options{Log: o.Log})
}

// OpenService makes the service of a. There may be one at a time for a state
// directory: the caller sees to that.
func (a *App) OpenService(o Options, version string) (*Service, error) {
	s := &Service{}
	if err := s.open(a, o, version); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Service) open(a *App, o Options, version string) (err error) {
	if s.Keys, err = OpenKeys(o); err != nil {
		return err
	}
	if s.snapshots, err = OpenSnapshots(o); err != nil {
		return err
	}
	s.Sandboxes, err = control.New(control.Config{
		Host: a.Host, Snapshots: s.snapshots, SnapshotKey: a.snapshotKey, Kernels: kernels{},
		Dir: control.DirIn(o.StateDir), Log: o.Log,
	})
	if err != nil {
		return err
	}
	s.API = httpapi.New(httpapi.Config{
		Sandboxes: s.Sandboxes, Keys: s.Keys, Templates: a.listTemplates, Version: version, Log: o.Log,
	})
	return nil
}

// snapshotKey is what the restores of a driver depend on here.
func (a *App) snapshotKey(name string) string {
	for _, d := range a.Drivers {
		if k, ok := d.(driver.SnapshotKeyer); ok && d.Name() == name {
			return k.SnapshotKey()
		}
	}
	return ""
}

func (a *App) listTemplates(ctx context.Context) ([]httpapi.Template, error) {
	list, err := a.Templates.List(ctx)
	if err != nil {
		return nil, err
	}
	out := []httpapi.Template{}
	for _, t := range list {
		out = append(out, httpapi.Template{Name: t.Name, Digest: t.Digest, SizeBytes: t.Bytes, IsGlobal: true})
	}
	return out, nil
}

// Close ends every sandbox that is not hibernated. It also takes back a half-made
// Service.
func (s *Service) Close() error {
	var errs []error
	if s.Sandboxes != nil {
		errs = append(errs, s.Sandboxes.Close())
	}
	if s.snapshots != nil {
		errs = append(errs, s.snapshots.Close())
	}
	return errors.Join(errs...)
}
