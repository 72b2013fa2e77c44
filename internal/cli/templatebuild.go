package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/template"
	"github.com/brigdev/brig/templates"
)

type templateBuildOptions struct {
	build      template.BuildOptions
	buildArgs  []string
	warmScript string
	memory     byteSize
	disk       byteSize
	noBake     bool
}

// AddFlags declares the flags of template build.
func (o *templateBuildOptions) AddFlags(c *cobra.Command) {
	f := c.Flags()
	b := &o.build
	f.StringVar(&b.From, "from", "", "what it is made `FROM`: another template, an OCI layout or archive, docker://IMAGE:TAG, a tar file (plain or gzip, - is stdin) or a directory (default: the recipe NAME)")
	f.StringVarP(&b.File, "file", "f", "", "build from this `DOCKERFILE` (- is stdin)")
	f.StringVar(&b.Context, "context", "", "`DIRECTORY` that COPY copies from (default: the Dockerfile's)")
	f.StringArrayVar(&o.buildArgs, "build-arg", nil, "value of an ARG of the Dockerfile, `NAME=VALUE`")
	f.StringVar(&b.Target, "target", "", "`STAGE` of the Dockerfile to build (default: the last)")
	f.Var(&o.memory, "memory", "memory of each RUN (default 2GiB)")
	f.Var(&o.disk, "disk", "bytes that a RUN may write (default 8GiB)")
	f.DurationVar(&b.Limits.Timeout, "timeout", 0, "`TIME` that a RUN may take (default 30m)")
	f.StringSliceVar(&b.AllowEgress, "allow-egress", nil, "what RUN may reach, `HOSTS` such as packages.example.com,*.example.org:8080 (default: nothing)")
	f.StringSliceVar(&b.Packages, "packages", nil, "Debian packages to add, `A,B`")
	f.StringSliceVar(&b.Pip, "pip", nil, "Python packages to install on top of --from, `A,B` or a requirements.txt; this host's pip fetches them")
	f.StringSliceVar(&b.Npm, "npm", nil, "npm packages to install on top of --from, `A,B`; this host's npm fetches them")
	f.StringSliceVar(&b.Warm, "warm", nil, "Python modules that the warm interpreter imports besides the recipe's, `A,B`")
	f.StringVar(&o.warmScript, "warm-script", "", "run this `FILE` in the sandbox before the bake, as the programs' user")
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
packages and warm modules, from a Dockerfile, from a container image, or from a
root filesystem in a tar file or directory. Packages come from this host's own
Debian sources; no file of this host goes in. Sandboxes of the template that had
the name before go on; 'brig template rollback' brings it back.

A Dockerfile needs no Docker: each RUN runs as root in a sandbox of its own, which
reaches no network but what --allow-egress lists, and what it changed is kept in a
cache. FROM names a template, an
OCI layout or archive (./image.tar), or an image of a registry.

With --json, what happens is on stdout as one JSON object a line; the last has the
event "built".`, strings.Join(templates.Names(), ", ")),
		Example: `  brig template build python --install-tools
  brig template build app --file Dockerfile --build-arg VERSION=2
  brig template build pandas --from python --packages python3-pandas --warm pandas
  brig template build web --from python --pip httpx,rich
  brig template build alpine --from docker://alpine:3.20
  docker save app -o app.tar && brig template build app --from ./app.tar`,
		Args: args(1, 1, "one NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.finish(); err != nil {
				return err
			}
			return runTemplateBuild(c.Context(), env, args[0], o)
		},
	}
	o.AddFlags(c)
	return c
}

// finish reads what flags only name.
func (o *templateBuildOptions) finish() error {
	b := &o.build
	b.Limits.MemoryBytes, b.Limits.DiskBytes = int64(o.memory), int64(o.disk)
	if b.File != "" && b.Context == "" {
		b.Context = filepath.Dir(b.File)
	}
	b.Args = map[string]string{}
	for _, kv := range o.buildArgs {
		name, value, ok := strings.Cut(kv, "=")
		if !ok {
			value = os.Getenv(name)
		}
		b.Args[name] = value
	}
	if o.warmScript == "" {
		return nil
	}
	f, err := os.Open(o.warmScript)
	if err != nil {
		return api.Errorf(api.CodeInvalid, "cannot read the warm-up script: because of %w", err).WithFix("name a file with --warm-script")
	}
	defer f.Close()
	const most = 1 << 20 // the catalogue knows the real limit
	data, err := io.ReadAll(io.LimitReader(f, most))
	b.WarmScript = string(data)
	return err
}

// builtEvent is the last event of a build.
type builtEvent struct {
	Event string `json:"event"`
	templateDetails
}

func runTemplateBuild(ctx context.Context, env *Env, name string, o templateBuildOptions) (err error) {
	if c, err := chosen(env); err != nil || c != nil {
		if err == nil {
			defer c.Close()
			err = templateBuildAt(ctx, env, c, name, o)
		}
		return err
	}
	opts, err := env.AppOptions()
	if err != nil {
		return err
	}
	// A whole Brig: the sandboxes of a build are journalled like all others.
	a, err := env.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	o.build.Stdin, o.build.Drivers, o.build.Events = env.Stdin, a.Drivers, buildEvents(env)
	if !o.noBake {
		// Before the name is given away: what cannot be baked is no template.
		o.build.Try = func(ctx context.Context, t template.Template) error {
			return a.Bake(ctx, t, func(line string) {
				o.build.Events(template.BuildEvent{Event: "progress", Text: line})
			})
		}
	}
	start := time.Now()
	if _, err := a.Templates.Build(ctx, name, o.build, nil); err != nil {
		return err
	}
	rec, snapshots, err := a.Templates.Inspect(name)
	if err != nil {
		return err
	}
	if env.JSON {
		details := templateDetails{Name: name, Digest: rec.Digest, Env: rec.Env, Languages: rec.Languages, Record: &rec, Snapshots: snapshots}
		return writeJSON(env.Stdout, builtEvent{"built", details})
	}
	fmt.Fprintf(env.Stderr, "built %s: %s in %d files, %d snapshots, in %s\n", name, api.FormatBytes(rec.Bytes), rec.Files, len(snapshots), time.Since(start).Round(time.Second/10))
	return nil
}

// buildEvents shows what happens: lines for people on stderr, or JSON on stdout.
func buildEvents(env *Env) func(template.BuildEvent) {
	if env.JSON {
		out := json.NewEncoder(env.Stdout)
		return func(e template.BuildEvent) { _ = out.Encode(e) } // the result is written there, too: its error counts
	}
	return func(e template.BuildEvent) {
		if line := e.String(); line != "" {
			fmt.Fprintf(env.Stderr, "  %s\n", printable(line))
		}
	}
}

// printable makes a program's line harmless for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s)
}
