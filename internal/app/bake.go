package app

import (
	"context"
	"fmt"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/template"
)

// snapshotKinds are the snapshots that a template is baked into.
func snapshotKinds(t template.Template) []string {
	var list []string
	if t.Languages["python"].Warm {
		list = append(list, template.OneShot, template.Session)
	}
	if len(t.Kernels) > 0 {
		list = append(list, template.Code)
	}
	return list
}

// Bake bakes all kinds of snapshot of a template for every driver that works here
// and can restore. Progress gets lines for people.
func (a *App) Bake(ctx context.Context, t template.Template, progress func(line string)) error {
	for _, d := range a.Drivers {
		if _, ok := d.(driver.SnapshotKeyer); !ok || !t.Warm {
			continue
		}
		if p := d.Probe(ctx); !p.OK || !p.Snapshots {
			progress(fmt.Sprintf("not baked for %s, which does not work here: %s", d.Name(), p.Reason))
			continue
		}
		for _, kind := range snapshotKinds(t) {
			progress(fmt.Sprintf("baking %s for %s", kind, d.Name()))
			if _, err := a.Templates.Snapshot(ctx, t, d, kind, api.DefaultLimits()); err != nil {
				return err
			}
		}
	}
	return nil
}
