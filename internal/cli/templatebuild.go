package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/template"
	"github.com/brigdev/brig/templates"
)

type templateBuildOptions struct {
	build  template.BuildOptions
	noBake bool
}

// AddFlags declares the flags of template build.
func (o *templateBuildOptions) AddFlags(c *cobra.Command) {
	f := c.Flags()
	b := &o.build
	f.StringVar(&b.From, "from", "", "another template, a tar file (plain or gzip, - is stdin) or a `DIRECTORY` (default: the recipe NAME)")
	f.StringSliceVar(&b.Packages, "packages", nil, "Debian packages to add, `A,B`")
	f.StringSliceVar(&b.Warm, "warm", nil, "Python modules that the warm interpreter imports besides the recipe's, `A,B`")
	f.StringVar(&b.Suite, "suite", "", "Debian `SUITE` (default: this host's)")
	f.StringVar(&b.Mirror, "mirror", "", "package mirror `URL` (default: this host's sources)")
	f.BoolVar(&b.InstallTools, "install-tools", false, "as root, install mmdebstrap with apt-get when it is missing")
	f.BoolVar(&o.noBake, "no-bake", false, "leave baking the warm snapshots to the first use")
}

func newTemplateBuildCommand(env *Env) *cobra.Command {
	var o templateBuildOptions
	c := &cobra.Command{
		Use:   "build NAME",
		Short: "Build a template",
		Long: fmt.Sprintf(`Build the template NAME, or build it anew, and bake its warm snapshots.

Brig has recipes for: %s. Other templates are made from one of them with more
packages and warm modules, or from a root filesystem in a tar file or directory.
Packages come from this host's own Debian sources; no file of this host goes in.
Sandboxes of the template that had the name before go on.`, strings.Join(templates.Names(), ", ")),
		Example: `  brig template build python --install-tools
  brig template build pynumpy --from python --warm numpy
  brig template build pandas --from python --packages python3-pandas --warm pandas
  docker export $(docker create alpine) | brig template build alpine --from -`,
		Args: args(1, 1, "one NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return runTemplateBuild(c.Context(), env, args[0], o)
		},
	}
	o.AddFlags(c)
	return c
}

func runTemplateBuild(ctx context.Context, env *Env, name string, o templateBuildOptions) (err error) {
	opts, err := env.AppOptions()
	if err != nil {
		return err
	}
	progress := func(line string) { fmt.Fprintf(env.Stderr, "  %s\n", oneLine(line)) }
	o.build.Stdin = env.Stdin
	return withCatalog(ctx, env, func(c *template.Catalog) (err error) {
		if !o.noBake {
			drivers, err := env.Drivers(opts)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, app.CloseDrivers(drivers)) }()
			// Before the name is given away: what cannot be baked is no template.
			o.build.Try = func(ctx context.Context, t template.Template) error {
				return bakeAll(ctx, c, t, drivers, progress)
			}
		}
		start := time.Now()
		if _, err := c.Build(ctx, name, o.build, progress); err != nil {
			return err
		}
		rec, snapshots, err := c.Inspect(name)
		if err != nil {
			return err
		}
		if env.JSON {
			return writeJSON(env.Stdout, templateDetails{Name: name, Digest: rec.Digest, Env: rec.Env, Languages: rec.Languages, Record: &rec, Snapshots: snapshots})
		}
		fmt.Fprintf(env.Stderr, "built %s: %s in %d files, %d snapshots, in %s\n", name, api.FormatBytes(rec.Bytes), rec.Files, len(snapshots), time.Since(start).Round(time.Second/10))
		return nil
	})
}

// bakeAll bakes both kinds of snapshot for every driver that works here and can
// restore.
func bakeAll(ctx context.Context, c *template.Catalog, t template.Template, drivers []driver.Driver, progress func(string)) error {
	for _, d := range drivers {
		if _, ok := d.(driver.SnapshotKeyer); !ok || !t.Warm {
			continue
		}
		if p := d.Probe(ctx); !p.OK || !p.Snapshots {
			progress(fmt.Sprintf("not baked for %s, which does not work here: %s", d.Name(), p.Reason))
			continue
		}
		for _, kind := range []string{template.OneShot, template.Session} {
			progress(fmt.Sprintf("baking %s for %s", kind, d.Name()))
			if _, err := c.Snapshot(ctx, t, d, kind, api.DefaultLimits()); err != nil {
				return err
			}
		}
	}
	return nil
}
