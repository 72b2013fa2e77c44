package app

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/builds"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/httpapi"
	"github.com/brigdev/brig/internal/jobs"
	"github.com/brigdev/brig/internal/snapshot"
)

// Service is the long-lived sandboxes of an App and their HTTP API. Close it
// before the App.
type Service struct {
	Sandboxes *control.Service
	API       *httpapi.Server
	Keys      *auth.Keys
	Audit     *audit.Log
	jobs      *jobs.Service
	builds    *builds.Service
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
	if s.Audit, err = audit.Open(auditDir(o), audit.Options{Log: o.Log}); err != nil {
		return err
	}
	if err = s.openBuilds(a, o); err != nil {
		return err
	}
	s.Sandboxes, err = control.New(control.Config{
		Host: a.Host, Snapshots: s.snapshots, SnapshotKey: a.snapshotKey, Kernels: kernels{},
		Dir: control.DirIn(keptDir(o)), Quota: a.quota(o, s.Keys), Audit: s.Audit, MayUse: s.builds.MayUse, Log: o.Log,
	})
	if err != nil {
		return err
	}
	if err = s.openJobs(a, o); err != nil {
		return err
	}
	s.API = httpapi.New(httpapi.Config{
		Sandboxes: s.Sandboxes, Jobs: s.jobs, Builds: s.builds, Keys: s.Keys, Audit: s.Audit, Origins: o.Origins, E2BInternet: o.E2BInternet, Templates: a.listTemplates, Version: version, Log: o.Log,
	})
	return nil
}

// keptDir is where a service keeps what is to outlive it. What the system's default
// state directory holds may be gone after a reboot.
func keptDir(o Options) string {
	if o.NamedState {
		return o.StateDir
	}
	return o.DataDir
}

// auditDir is where the audit log is.
func auditDir(o Options) string { return filepath.Join(keptDir(o), "audit") }

// tenantShare is how much of the host's memory the sandboxes of one owner may hold
// when nobody said: a quarter is left for the others.
const tenantShare = 0.75

// quota is what the options say. Without a bound of memory an owner may have it all
// as long as there are no keys of others.
func (a *App) quota(o Options, keys *auth.Keys) func(string) control.Quota {
	return func(string) control.Quota {
		q := control.Quota{Sandboxes: o.TenantSandboxes, MemoryBytes: o.TenantMemory}
		if h, ok := a.Host.(interface{ MemoryBytes() int64 }); ok && q.MemoryBytes == 0 && keys.Owners() > 1 {
			q.MemoryBytes = int64(tenantShare * float64(h.MemoryBytes()))
		}
		return q
	}
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
		out = append(out, httpapi.Template{
			Name: t.Name, Digest: t.Digest, SizeBytes: t.Bytes, IsGlobal: true,
			Languages: t.Languages, Warm: t.Warm, Snapshots: t.Snapshots, BuiltAt: t.BuiltAt,
		})
	}
	return out, nil
}

// Working tells whether anything goes on that nobody waits for: sandboxes, batches,
// builds.
func (s *Service) Working() bool {
	return s.Sandboxes.Living() > 0 || s.jobs.Working() || s.builds.Working()
}

// Close ends every sandbox that is not hibernated. It also takes back a half-made
// Service.
func (s *Service) Close() error {
	var errs []error
	if s.API != nil {
		errs = append(errs, s.API.Close())
	}
	if s.jobs != nil {
		errs = append(errs, s.jobs.Close())
	}
	if s.Sandboxes != nil {
		errs = append(errs, s.Sandboxes.Close())
	}
	if s.builds != nil {
		errs = append(errs, s.builds.Close())
	}
	if s.snapshots != nil {
		errs = append(errs, s.snapshots.Close())
	}
	if s.Audit != nil {
		errs = append(errs, s.Audit.Close())
	}
	return errors.Join(errs...)
}
