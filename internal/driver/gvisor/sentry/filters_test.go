package sentry

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/sentry/platform"
	_ "gvisor.dev/gvisor/pkg/sentry/platform/platforms"
	"gvisor.dev/gvisor/runsc/boot/filter"
	"gvisor.dev/gvisor/runsc/boot/filter/config"
)

// TestFiltersAreCurrent holds the generated filters against go.mod: a new
// gVisor must not run with the rules of an old one. (Compiling them afresh takes
// a minute, and the compiler's output is not the same twice.)
func TestFiltersAreCurrent(t *testing.T) {
	mod, err := os.ReadFile("../../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`gvisor\.dev/gvisor (\S+)`).FindSubmatch(mod)
	if m == nil || string(m[1]) != filtersFor {
		t.Errorf("filters are of %s, go.mod says %s: run `go generate ./internal/driver/gvisor/sentry`", filtersFor, m)
	}
}

// TestSentryFindsItsFilter asks as a starting sentry asks.
func TestSentryFindsItsFilter(t *testing.T) {
	constructor, err := platform.Lookup("systrap")
	if err != nil {
		t.Fatal(err)
	}
	installFilters()
	for _, info := range constructor.PrecompiledSeccompInfo() {
		key := config.Options{Platform: info}.ConfigKey()
		if _, ok := filter.GetPrecompiled(key); !ok {
			t.Errorf("no filter for %s; there are %v", key, slices.Sorted(slices.Values(filter.ListPrecompiled())))
		}
	}
}
