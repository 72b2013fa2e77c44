package app

import (
	"context"
	"maps"
	"path/filepath"
	"slices"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/builds"
	"github.com/brigdev/brig/internal/jobs"
	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/template"
)

// BatchTemplate finds the template of a batch, by default python, or host where
// that is not built, and the languages that it runs. CodeNotFound.
func BatchTemplate(ctx context.Context, templates *template.Catalog, name string) (chosen string, languages []string, err error) {
	chosen = name
	if chosen == "" {
		chosen = "python"
	}
	t, err := templates.Resolve(ctx, chosen)
	if api.CodeOf(err) == api.CodeNotFound && name == "" {
		chosen = template.HostName
		t, err = templates.Resolve(ctx, chosen)
	}
	return chosen, slices.Sorted(maps.Keys(t.Languages)), err
}

// openBuilds opens what makes templates for tenants. It is beside the templates.
func (s *Service) openBuilds(a *App, o Options) (err error) {
	s.builds, err = builds.Open(builds.Config{
		Dir: filepath.Join(o.DataDir, "builds"), Templates: a.Templates, Options: template.BuildOptions{Drivers: a.Drivers},
		Bake: a.Bake, Local: auth.LocalOwner, Log: o.Log,
	})
	return err
}

// openJobs opens the batches of tenants, which go on where a server left them.
func (s *Service) openJobs(a *App, o Options) (err error) {
	s.jobs, err = jobs.Open(jobs.Config{
		Dir: filepath.Join(keptDir(o), "batches"), Host: a.Host, Hold: s.Sandboxes.Hold,
		OpenJournal: func(ctx context.Context, dir string) (store.Store, error) { return OpenJournal(ctx, dir, o.Log) },
		Template: func(ctx context.Context, owner, name string) (string, []string, error) {
			if !s.builds.MayUse(owner, name) {
				return "", nil, api.Errorf(api.CodeNotFound, "cannot use the template %.80s: because it is not built", name).WithFix("list templates with 'brig template ls'")
			}
			return BatchTemplate(ctx, a.Templates, name)
		},
		Log: o.Log,
	})
	return err
}
