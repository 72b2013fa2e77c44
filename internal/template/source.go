package template

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/image"
	"github.com/brigdev/brig/templates"
)

// check refuses options that make no sense, before anything is done. Names of
// packages and modules go to other programs as arguments.
func (o BuildOptions) check(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if name == HostName {
		return api.Errorf(api.CodeInvalid, "cannot build the template host: because it is this host itself and always there").
			WithFix("choose another name")
	}
	if err := o.checkKind(); err != nil {
		return err
	}
	for _, p := range o.Packages {
		if !regexp.MustCompile(`^[a-z0-9][a-z0-9+.:-]+$`).MatchString(p) {
			return api.Errorf(api.CodeInvalid, "cannot add the package %q: because no Debian package has such a name", p).
				WithFix("write --packages python3-pandas,jq")
		}
	}
	for _, m := range o.Warm {
		if !regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`).MatchString(m) {
			return api.Errorf(api.CodeInvalid, "cannot warm %q: because no Python module has such a name", m).
				WithFix("write --warm numpy,xml.dom")
		}
	}
	for _, word := range []string{o.Suite, o.Mirror} {
		if strings.HasPrefix(word, "-") || strings.ContainsAny(word, " \t\n") {
			return api.Errorf(api.CodeInvalid, "cannot take packages from %q: because that is no suite or mirror", word).
				WithFix("write --suite bookworm --mirror http://MIRROR/debian")
		}
	}
	return nil
}

// request identifies what was asked for.
func (o BuildOptions) request() string {
	h := sha256.New()
	for _, words := range [][]string{{o.From}, o.Packages, o.Warm, {o.Suite}, {o.Mirror}, {o.File, o.Context, o.Target, o.Recipe, o.WarmScript}, o.Pip, o.Npm} {
		fmt.Fprintf(h, "%q\n", words)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Args)) {
		fmt.Fprintf(h, "%q=%q\n", name, o.Args[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// source decides what a template is made from.
func (c *Catalog) source(ctx context.Context, name string, o BuildOptions, emit func(BuildEvent)) (source, error) {
	progress := func(line string) { emit(BuildEvent{Event: "progress", Text: line}) }
	switch {
	case o.File != "":
		return c.fromDockerfile(ctx, o, emit)
	case len(o.Pip) > 0 || len(o.Npm) > 0:
		return c.fromRequirements(ctx, o, emit)
	case o.From == "":
		return c.fromRecipe(ctx, name, o, progress)
	case isImage(ctx, o.From):
		return c.fromImage(ctx, o, progress)
	}
	if st, err := os.Stat(o.From); o.From == "-" || (err == nil && strings.Contains(o.From, "/")) || (err == nil && !st.IsDir()) {
		return fromFiles(o, progress)
	}
	if strings.Contains(o.From, "/") {
		return source{}, api.Errorf(api.CodeInvalid, "cannot read %.200q: because there is no such file or directory", o.From).
			WithFix("name one that exists; an image of a registry is written docker://IMAGE:TAG")
	}
	base, err := c.lookup(o.From)
	if api.CodeOf(err) == api.CodeNotFound && slices.Contains(templates.Names(), o.From) {
		return c.fromRecipe(ctx, o.From, o, progress) // what it would be built from
	}
	if err != nil {
		return source{}, err
	}
	base.WarmModules, base.WarmScript = union(base.WarmModules, o.Warm), or(o.WarmScript, base.WarmScript)
	if len(o.Packages) == 0 {
		progress("copying the template " + o.From)
		if err := c.hold(c.imagePath(base.Digest)); err != nil {
			return source{}, c.damaged(o.From, "its image is missing")
		}
		return c.copyOf(base), nil
	}
	if len(base.Packages) == 0 {
		return source{}, api.Errorf(api.CodeInvalid, "cannot add packages to %s: because it was not made from Debian packages", o.From).
			WithFix("use --from python, or leave out --packages")
	}
	o.Suite, o.Mirror = or(o.Suite, base.Suite), or(o.Mirror, base.Mirror)
	base.Packages = union(base.Packages, o.Packages)
	return c.fromDebian(ctx, base, o, progress)
}

func (c *Catalog) fromRecipe(ctx context.Context, name string, o BuildOptions, progress func(string)) (source, error) {
	r, err := templates.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return source{}, api.Errorf(api.CodeInvalid, "cannot build the template %s: because there is no recipe of that name", name).
			WithFix("say what it is made from: --from %s, --from rootfs.tar or --from ./directory", strings.Join(templates.Names(), ", --from "))
	}
	if err != nil {
		return source{}, err
	}
	rec := Record{Packages: union(r.Packages, o.Packages), Drop: r.Drop, WarmModules: union(r.Warm, o.Warm), WarmScript: o.WarmScript, Kernels: r.Kernel}
	return c.fromDebian(ctx, rec, o, progress)
}

// fromFiles takes a root filesystem that somebody else made.
func fromFiles(o BuildOptions, progress func(string)) (source, error) {
	if len(o.Packages) > 0 {
		return source{}, api.Errorf(api.CodeInvalid, "cannot add packages to %s: because it is a finished root filesystem", o.From).
			WithFix("use --from python, or leave out --packages")
	}
	src := source{rec: Record{Source: o.From, WarmModules: o.Warm, WarmScript: o.WarmScript}}
	src.fill = func(ctx context.Context, w *image.Writer) error {
		progress("reading " + o.From)
		keep := keepAllBut(kernelFiles())
		if o.From == "-" {
			return w.AddTar(ctx, stdin(o), keep)
		}
		if st, err := os.Stat(o.From); err == nil && st.IsDir() {
			return w.AddDir(ctx, o.From, keep)
		}
		f, err := os.Open(o.From)
		if err != nil {
			return api.Errorf(api.CodeInvalid, "cannot read %s: because of %w", o.From, err).WithFix("name a tar file that you may read")
		}
		defer f.Close()
		return w.AddTar(ctx, f, keep)
	}
	return src, nil
}

func stdin(o BuildOptions) io.Reader {
	if o.Stdin == nil {
		return strings.NewReader("")
	}
	return o.Stdin
}

// union is a and what b has besides, in this order.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
