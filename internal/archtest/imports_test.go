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
	gvisor  = "gvisor.dev/gvisor"
	ocispec = "github.com/opencontainers/runtime-spec"
	xsys    = "golang.org/x/sys"
	xsync   = "golang.org/x/sync"
	xterm   = "golang.org/x/term"
	goerofs = "github.com/erofs/go-erofs"
)

// arrows is the whole import table. Direction: cmd → cli → app → batch → host
// → driver, with api under all. A package that is not listed fails the test.
var arrows = map[string]row{
	"api":               {},
	"cmd/brig":          {ours: []string{"internal/cli", "internal/driver/gvisor"}},
	"internal/archtest": {},

	"internal/cli": {
		ours:   []string{"internal/app", "internal/batch", "internal/bench", "internal/doctor", "internal/driver", "internal/host", "internal/template"},
		theirs: []string{cobra, xsys, xterm},
	},
	"internal/app": {
		ours: []string{"internal/driver", "internal/driver/gvisor", "internal/driver/process", "internal/host", "internal/template"},
	},
	"internal/doctor": {ours: []string{"internal/cgroup", "internal/driver"}, theirs: []string{xsys}},
	"internal/bench":  {ours: []string{"internal/batch", "internal/host"}, theirs: []string{xsys}},
	"internal/batch": {
		ours:   []string{"internal/host", "internal/store"},
		theirs: []string{xsync, xsys},
	},

	"internal/store":           {},
	"internal/store/memory":    {ours: []string{"internal/store"}},
	"internal/store/jetstream": {ours: []string{"internal/store"}, theirs: []string{nats, xsys}},
	"internal/store/storetest": {ours: []string{"internal/store"}},

	"internal/host": {
		ours:   []string{"internal/driver", "internal/guest", "internal/template", "internal/undo"},
		theirs: []string{xsys, xsync},
	},
	"internal/host/hosttest": {ours: []string{"internal/host"}},
	"internal/template": {
		ours:   []string{"internal/driver", "internal/guest", "internal/guest/agent", "internal/image"},
		theirs: []string{xsys, xsync},
	},
	"internal/image": {theirs: []string{goerofs, xsys}},

	"internal/guest":       {},
	"internal/guest/agent": {},

	"internal/driver":            {},
	"internal/driver/drivertest": {ours: []string{"internal/driver", "internal/guest"}},
	"internal/driver/fake":       {ours: []string{"internal/driver", "internal/guest"}},
	"internal/driver/process":    {ours: []string{"internal/cgroup", "internal/driver", "internal/guest", "internal/guest/agent", "internal/undo"}, theirs: []string{xsys}},
	"internal/driver/gvisor": {
		ours:   []string{"internal/driver", "internal/guest", "internal/guest/agent", "internal/image", "internal/undo"},
		theirs: []string{gvisor, ocispec, xsys},
	},
	"internal/cgroup": {},
	"internal/undo":   {},
}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range parseTree(t) {
		if f.test {
			continue
		}
		seen[f.pkg] = true
		allowed, listed := arrows[f.pkg]
		if !listed {
			t.Errorf("%s is not in the import table: add a row to arrows", f.pkg)
			continue
		}
		for _, imp := range f.imports() {
			if !mayImport(allowed, imp) {
				t.Errorf("%s may not import %s", f.path, imp)
			}
		}
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
