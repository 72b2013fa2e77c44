package template

import (
	"context"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/netpolicy"
	"github.com/brigdev/brig/internal/oci"
)

// checkKind refuses options of two kinds of build, or that need what is not
// there.
func (o BuildOptions) checkKind() error {
	if e := o.egress(); e.Enabled() {
		if _, err := netpolicy.Parse(*e); err != nil {
			return err
		}
	}
	onTop := len(o.Pip) > 0 || len(o.Npm) > 0
	switch {
	case o.File != "" && (o.From != "" || len(o.Packages) > 0 || onTop):
		return api.Errorf(api.CodeInvalid, "cannot build from a Dockerfile and from something else").WithFix("say what it starts from with FROM in the Dockerfile")
	case onTop && o.From == "":
		return api.Errorf(api.CodeInvalid, "cannot install requirements on nothing").WithFix("name a template: --from python")
	case onTop && len(o.Packages) > 0:
		return api.Errorf(api.CodeInvalid, "cannot install Debian packages and requirements in one build").WithFix("build a template with --packages first, then one --from it")
	case len(o.WarmScript) > maxWarmScript:
		return api.Errorf(api.CodeInvalid, "cannot use the warm-up script: because it is larger than %s", api.FormatBytes(maxWarmScript))
	}
	return o.limits().Validate()
}

// egress is what each RUN may reach.
func (o BuildOptions) egress() *api.Egress {
	if len(o.AllowEgress) == 0 {
		return nil
	}
	return &api.Egress{Mode: api.EgressAllow, Allow: o.AllowEgress}
}

const maxWarmScript = 256 << 10

// limits are those of each RUN.
func (o BuildOptions) limits() api.Limits {
	l, d := o.Limits, buildLimits()
	if l.MemoryBytes == 0 {
		l.MemoryBytes = d.MemoryBytes
	}
	if l.DiskBytes == 0 {
		l.DiskBytes = d.DiskBytes
	}
	if l.Timeout == 0 {
		l.Timeout = d.Timeout
	}
	l.PIDs, l.CPUs = d.PIDs, d.CPUs
	return l.WithDefaults()
}

// isImage tells whether From is a container image.
func isImage(ctx context.Context, from string) bool {
	if strings.HasPrefix(from, "docker://") || strings.HasPrefix(from, "oci:") {
		return true
	}
	return strings.Contains(from, "/") && oci.Is(ctx, from) || CheckName(from) == nil && strings.HasSuffix(from, ".tar") && oci.Is(ctx, from)
}

// fromImage takes a container image as it is.
func (c *Catalog) fromImage(ctx context.Context, o BuildOptions, progress func(string)) (source, error) {
	if len(o.Packages) > 0 {
		return source{}, api.Errorf(api.CodeInvalid, "cannot add packages to %s: because it is a finished root filesystem", o.From).
			WithFix("use --from python, or leave out --packages")
	}
	w, err := c.newWorkshop("", nil)
	if err != nil {
		return source{}, err
	}
	progress("reading " + o.From)
	from := o.From
	if !strings.HasPrefix(from, "docker://") && !strings.HasPrefix(from, "oci:") {
		from = "oci:" + from
	}
	if strings.HasPrefix(from, "docker://") {
		w.remote = o.Remote // what was uploaded is a file of this host
	}
	b, err := w.open(ctx, from)
	if err != nil {
		w.close()
		return source{}, err
	}
	rec := b.rec
	rec.Source, rec.Config = o.From, &b.config
	rec.WarmModules, rec.WarmScript = o.Warm, o.WarmScript
	src := treeSource(rec, w.files(b))
	src.close = w.close
	return src, nil
}
