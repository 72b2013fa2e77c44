package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/dockerfile"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/template"
)

// templateDetails is what inspect prints.
type templateDetails struct {
	Name      string                       `json:"name"`
	Digest    string                       `json:"digest"`
	Image     string                       `json:"image"`
	Binds     []driver.Bind                `json:"binds,omitempty"` // of the host template
	Env       map[string]string            `json:"env"`
	Languages map[string]template.Language `json:"languages"`
	Record    *template.Record             `json:"record,omitempty"` // of a built one
	Snapshots []template.Manifest          `json:"snapshots,omitempty"`
	History   []template.Tagged            `json:"history,omitempty"` // what the name meant before
}

func newTemplateInspectCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect NAME",
		Short: "Say what is in a template",
		Long: `Say what a template was made from, what can run in it, which environment its
programs get, and which warm snapshots were baked from it.`,
		Example: `  brig template inspect python
  brig template inspect python --json | jq .record.packages`,
		Args: args(1, 1, "one NAME"),

		ValidArgsFunction: completeTemplates(env),
		RunE: func(c *cobra.Command, args []string) error {
			return runTemplateInspect(c.Context(), env, args[0])
		},
	}
}

func runTemplateInspect(ctx context.Context, env *Env, name string) error {
	if c, err := chosen(env); err != nil || c != nil {
		if err == nil {
			defer c.Close()
			err = templateInspectAt(ctx, env, c, name)
		}
		return err
	}
	return withCatalog(ctx, env, func(c *template.Catalog) error {
		t, err := c.Resolve(ctx, name)
		if err != nil {
			return err
		}
		d := templateDetails{Name: t.Name, Digest: t.Digest, Image: t.Root.Image, Binds: t.Root.Binds, Env: t.Env, Languages: t.Languages}
		if t.Name != template.HostName {
			rec, snapshots, err := c.Inspect(t.Name)
			if err != nil {
				return err
			}
			d.Record, d.Snapshots = &rec, snapshots
			if d.History, err = c.History(t.Name); err != nil {
				return err
			}
		}
		if env.JSON {
			return writeJSON(env.Stdout, d)
		}
		return printTemplate(env.Stdout, d)
	})
}

// printConfig shows what an image or Dockerfile says of running programs, except
// for the environment, which is among the template's own.
func printConfig(row func(name, format string, args ...any), c *dockerfile.Config) {
	if c == nil {
		return
	}
	if c.User != "" {
		row("user", "%s", c.User)
	}
	if c.WorkingDir != "" {
		row("working directory", "%s", c.WorkingDir)
	}
	if len(c.Entrypoint) > 0 {
		row("entrypoint", "%q", c.Entrypoint)
	}
	if len(c.Cmd) > 0 {
		row("command", "%q", c.Cmd)
	}
}

func printTemplate(w io.Writer, d templateDetails) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("name", "%s", d.Name)
	row("digest", "%s", d.Digest)
	row("image", "%s", d.Image)
	for _, b := range d.Binds {
		row("shows", "%s (read-only)", b.Source)
	}
	if r := d.Record; r != nil {
		row("size", "%s in %d files", api.FormatBytes(r.Bytes), r.Files)
		row("from", "%s", r.Source)
		row("built", "%s", r.BuiltAt.Local().Format(time.DateTime))
		row("packages", "%s", strings.Join(r.Packages, " "))
		row("warm modules", "%s", strings.Join(r.WarmModules, " "))
		if len(r.Kernels) > 0 {
			row("warm kernels", "%s", strings.Join(r.Kernels, " "))
		}
		if r.WarmScript != "" {
			row("warm-up script", "%s", api.FormatBytes(int64(len(r.WarmScript))))
		}
		printConfig(row, r.Config)
	}
	for _, h := range d.History {
		row("before", "%s of %s", h.Digest, h.BuiltAt.Local().Format(time.DateTime))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Languages)) {
		row("runs", "%s with %s", name, strings.Join(d.Languages[name].Argv, " "))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Env)) {
		row("env", "%s=%s", name, d.Env[name])
	}
	for _, s := range d.Snapshots {
		row("snapshot", "%s for %s, %d cpus, disk %s: %s, baked in %s", s.Key.Kind, s.Key.Driver, s.Key.CPUs,
			api.FormatBytes(s.Key.DiskBytes), api.FormatBytes(s.Bytes()), time.Duration(s.TookMS)*time.Millisecond)
	}
	return t.Flush()
}
