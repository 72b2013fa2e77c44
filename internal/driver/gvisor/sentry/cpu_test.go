//go:build amd64

package sentry

import (
	"maps"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/cpuid"
)

// TestCPU: a boot process that is told of the processor knows what it would have
// found out, and one that is told nonsense asks by itself.
func TestCPU(t *testing.T) {
	told := CPU()
	features, mhz := cpuFeatures, cpuMHz
	for what, env := range map[string]string{"told": told, "not told": "", "nonsense": "x", "cut": told[:len(told)-8]} {
		cpuOnce, cpuFeatures, cpuMHz = sync.Once{}, cpuid.FeatureSet{}, 0
		t.Setenv(EnvCPU, env)
		takeCPU()
		if took := cpuFeatures.Function != nil; took != (what == "told") {
			t.Errorf("%s: taken: %t", what, took)
		}
		cpuid.Initialize()
		if !maps.Equal(cpuid.HostFeatureSet().ToStatic(), features.ToStatic()) || cpuMHz != mhz {
			t.Errorf("%s: %v at %g MHz, want %v at %g", what, cpuid.HostFeatureSet(), cpuMHz, features, mhz)
		}
		if got, want := cpuid.HostFeatureSet(), features; got.FlagString() != want.FlagString() {
			t.Errorf("%s: flags %s, want %s", what, got.FlagString(), want.FlagString())
		}
	}
}
