package archtest

import (
	"slices"
	"strings"
	"testing"
)

// row is what one package's non-test files may import besides the standard
// library and api.
type row struct {
	ours   []string // folders below the module
	theirs []string // modules, or a module's subtree
}

const (
	cobra   = "github.com/spf13/"
	nats    = "github.com/nats-io/"
	gvisor  = "gvisor.dev/gvisor/"
	ocispec = "github.com/opencontainers/runtime-spec/"
	xnet    = "golang.org/x/net/dns/"
	xsync   = "golang.org/x/sync/"
	xsys    = "golang.org/x/sys/"
	xterm   = "golang.org/x/term"
	xtime   = "golang.org/x/time/"
	coderws = "github.com/coder/websocket"
	gcr     = "github.com/google/go-containerregistry/"
	mcpsdk  = "github.com/modelcontextprotocol/go-sdk/mcp"
	jschema = "github.com/google/jsonschema-go/jsonschema"
)

// arrows is the whole import table. Direction: cmd → cli → app → batch → host
// → driver, with api under all. A package that is not listed fails the test.
var arrows = map[string]row{
	"api":       {},
	"cmd/brig":  {ours: []string{"internal/cli", "internal/driver/gvisor/sentry"}},
	"client":    {theirs: []string{coderws}},
	"templates": {},

	"internal/cli": {
		ours: []string{
			"client", "internal/app", "internal/auth", "internal/batch", "internal/batch/input", "internal/batch/outdir", "internal/batch/progress",
			"internal/batch/repair", "internal/bench", "internal/dockerfile", "internal/doctor", "internal/durable", "internal/driver", "internal/host",
			"internal/httpapi", "internal/mcp", "internal/store", "internal/template", "templates",
		},
		theirs: []string{cobra, xsys, xterm},
	},
	"internal/app": {
		ours: []string{
			"internal/audit", "internal/auth", "internal/builds", "internal/control", "internal/driver", "internal/driver/gvisor", "internal/driver/process",
			"internal/egress", "internal/host", "internal/httpapi", "internal/interpreter", "internal/jobs", "internal/snapshot", "internal/store", "internal/store/jetstream", "internal/template",
		},
	},
	"internal/doctor": {ours: []string{"internal/cgroup", "internal/driver"}, theirs: []string{xsys}},
	"internal/bench":  {ours: []string{"client", "internal/cgroup", "internal/driver", "internal/host", "internal/interpreter", "internal/snapshot"}, theirs: []string{ocispec, xsync, xsys}},

	"internal/mcp":             {ours: []string{"client"}, theirs: []string{mcpsdk, jschema}},
	"internal/httpapi/openapi": {},
	"internal/httpapi":         {ours: []string{"client", "internal/audit", "internal/auth", "internal/builds", "internal/control", "internal/e2b", "internal/host", "internal/httpapi/openapi", "internal/jobs", "internal/mcp", "internal/template"}, theirs: []string{coderws}},
	"internal/users":           {},
	"internal/control":         {ours: []string{"internal/audit", "internal/host", "internal/snapshot", "internal/users"}},
	"internal/control/controltest": {ours: []string{
		"internal/control", "internal/driver", "internal/driver/fake", "internal/host", "internal/host/hosttest", "internal/snapshot",
	}},
	"internal/e2b/envd": {ours: []string{"internal/control", "internal/host"}},
	"internal/e2b":      {ours: []string{"internal/control", "internal/e2b/envd", "internal/host"}},
	"internal/auth":     {ours: []string{"internal/durable"}, theirs: []string{xsys}},
	"internal/audit":    {},

	"internal/batch": {
		ours: []string{
			"internal/batch/input", "internal/batch/outdir", "internal/batch/progress", "internal/batch/repair",
			"internal/host", "internal/store",
		},
		theirs: []string{xsync, xsys},
	},
	"internal/jobs": {ours: []string{
		"internal/batch", "internal/batch/input", "internal/batch/outdir", "internal/batch/progress", "internal/durable", "internal/fair",
		"internal/host", "internal/store",
	}},
	"internal/builds":  {ours: []string{"internal/durable", "internal/fair", "internal/template", "templates"}},
	"internal/durable": {theirs: []string{xsys}},
	"internal/fair":    {},

	"internal/batch/input":    {},
	"internal/batch/outdir":   {ours: []string{"internal/store"}, theirs: []string{xsys}},
	"internal/batch/progress": {},
	"internal/batch/repair":   {ours: []string{"internal/batch/input"}},

	"internal/store":           {},
	"internal/store/memory":    {ours: []string{"internal/store"}},
	"internal/store/jetstream": {ours: []string{"internal/store"}, theirs: []string{nats, xsys}},
	"internal/store/storetest": {ours: []string{"internal/store"}},

	"internal/host": {
		ours:   []string{"internal/driver", "internal/egress", "internal/guest", "internal/netpolicy", "internal/template"},
		theirs: []string{xsync, xsys},
	},
	"internal/host/hosttest": {ours: []string{"internal/driver", "internal/guest", "internal/host", "internal/template"}},
	"internal/template": {
		ours: []string{
			"internal/dockerfile", "internal/driver", "internal/egress", "internal/guest", "internal/guest/agent", "internal/image",
			"internal/interpreter/kernel", "internal/netpolicy", "internal/oci", "internal/rootfs", "internal/users", "templates",
		},
		theirs: []string{xsys},
	},
	"internal/dockerfile": {},
	"internal/oci":        {ours: []string{"internal/netpolicy", "internal/rootfs"}, theirs: []string{gcr, "github.com/klauspost/compress/zstd"}},
	"internal/rootfs":     {ours: []string{"internal/image"}},
	"internal/snapshot":   {ours: []string{"internal/durable"}, theirs: []string{xsync, xsys}},
	"internal/image":      {theirs: []string{gvisor + "pkg/erofs", xsys}},

	"internal/interpreter":        {ours: []string{"internal/guest", "internal/host", "internal/interpreter/kernel"}},
	"internal/interpreter/kernel": {},

	"internal/guest":       {},
	"internal/guest/agent": {},

	"internal/driver":            {},
	"internal/driver/drivertest": {ours: []string{"internal/driver", "internal/guest"}, theirs: []string{xsync}},
	"internal/driver/fake":       {ours: []string{"internal/driver", "internal/guest"}},
	"internal/driver/process": {
		ours:   []string{"internal/cgroup", "internal/driver", "internal/guest", "internal/guest/agent", "internal/undo"},
		theirs: []string{xsys},
	},
	"internal/driver/gvisor": {
		ours: []string{
			"internal/cgroup", "internal/driver", "internal/driver/gvisor/sentry", "internal/guest",
			"internal/guest/agent", "internal/image",
		},
		theirs: []string{gvisor, ocispec, xsys},
	},
	"internal/driver/gvisor/sentry":     {theirs: []string{gvisor, "google.golang.org/protobuf/proto", xsys}},
	"internal/driver/gvisor/sentry/gen": {theirs: []string{gvisor}},
	"internal/netpolicy":                {},
	"internal/egress":                   {ours: []string{"internal/driver", "internal/netpolicy"}, theirs: []string{gvisor, xnet, xsys, xtime}},
	"internal/cgroup":                   {},
	"internal/undo":                     {},
	"internal/crashtest":                {},

	"internal/archtest":          {},
	"examples/postprocess/check": {},
	"examples/postprocess/gen":   {},
}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	unlisted := map[string]bool{}
	for _, f := range parseTree(t) {
		if f.test {
			continue
		}
		seen[f.pkg] = true
		allowed, listed := arrows[f.pkg]
		if !listed {
			unlisted[f.pkg] = true
			continue
		}
		for _, imp := range f.imports() {
			if !mayImport(allowed, imp) {
				t.Errorf("%s may not import %s", f.path, imp)
			}
		}
	}
	for pkg := range unlisted {
		t.Errorf("%s is not in the import table: add a row to arrows", pkg)
	}
	for pkg := range arrows {
		if !seen[pkg] {
			t.Errorf("%s is in the import table and does not exist: take the row out", pkg)
		}
	}
}

// mayImport decides one import.
func mayImport(r row, imp string) bool {
	if ours, ok := strings.CutPrefix(imp, module); ok {
		return ours == "api" || slices.Contains(r.ours, ours)
	}
	if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(r.theirs, func(m string) bool { return strings.HasPrefix(imp, m) })
}

// TestMayImport plants the faults that the table has to catch.
func TestMayImport(t *testing.T) {
	r := row{ours: []string{"internal/driver"}, theirs: []string{xsys}}
	for imp, want := range map[string]bool{
		"os":                            true,
		"encoding/json":                 true,
		module + "api":                  true,
		module + "internal/driver":      true,
		module + "internal/driver/fake": false,
		module + "internal/host":        false,
		"golang.org/x/sys/unix":         true,
		"golang.org/x/term":             false,
		"example.com/anything":          false,
	} {
		if got := mayImport(r, imp); got != want {
			t.Errorf("mayImport(%s) = %v, want %v", imp, got, want)
		}
	}
}
