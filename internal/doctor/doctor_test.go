package doctor

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// prober is a driver that only answers probes.
type prober struct {
	driver.Driver
	probe driver.Probe
}

func (p prober) Rung() api.Rung                     { return p.probe.Rung }
func (p prober) Probe(context.Context) driver.Probe { return p.probe }

func TestRungs(t *testing.T) {
	works := driver.Probe{Driver: "a", OK: true, Took: time.Second}
	degraded := works
	degraded.Degraded = []driver.Degraded{{What: "cgroups", Cost: "polling"}}
	emulated := works
	emulated.Emulated = true
	broken := driver.Probe{Driver: "b", Reason: "no way", Fix: "buy another"}
	on := func(r api.Rung, p driver.Probe) driver.Driver { p.Rung = r; return prober{probe: p} }

	for name, tc := range map[string]struct {
		drivers []driver.Driver
		auto    api.Rung
		status  map[api.Rung]Status
	}{
		"nothing": {nil, "", map[api.Rung]Status{api.RungGVisor: Absent, api.RungMicroVM: Absent}},
		"gvisor":  {[]driver.Driver{on(api.RungGVisor, works)}, api.RungGVisor, map[api.Rung]Status{api.RungGVisor: OK}},
		"gvisor by fall-backs": {
			[]driver.Driver{on(api.RungGVisor, degraded)}, api.RungGVisor, map[api.Rung]Status{api.RungGVisor: Warn},
		},
		"broken gvisor": {
			[]driver.Driver{on(api.RungGVisor, broken), on(api.RungProcess, works)}, "",
			map[api.Rung]Status{api.RungGVisor: Fail, api.RungProcess: Warn},
		},
		"too slow a VM": {
			[]driver.Driver{on(api.RungMicroVM, emulated), on(api.RungGVisor, works)}, api.RungGVisor,
			map[api.Rung]Status{api.RungMicroVM: Warn},
		},
		"one of two VMMs": {
			[]driver.Driver{on(api.RungMicroVM, broken), on(api.RungMicroVM, works)}, api.RungMicroVM,
			map[api.Rung]Status{api.RungMicroVM: OK},
		},
		"only a container": {[]driver.Driver{on(api.RungContainer, works)}, "", map[api.Rung]Status{api.RungContainer: OK}},
	} {
		t.Run(name, func(t *testing.T) {
			r := Run(t.Context(), tc.drivers, t.TempDir())
			if r.Auto != tc.auto || r.OK != (tc.auto != "") {
				t.Errorf("auto is %q, ok %v; want %q", r.Auto, r.OK, tc.auto)
			}
			if len(r.Rungs) != len(api.Rungs()) {
				t.Errorf("%d rungs, want the whole ladder", len(r.Rungs))
			}
			for _, rung := range r.Rungs {
				if want, ok := tc.status[rung.Rung]; ok && rung.Status != want {
					t.Errorf("%s is %s (%s), want %s", rung.Rung, rung.Status, rung.Detail, want)
				}
			}
		})
	}
}

// TestChecksAreComplete wants a detail from every check, and a way out of
// whatever is not ok.
func TestChecksAreComplete(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Run(t.Context(), nil, t.TempDir()).Checks {
		if c.Name == "" || c.Detail == "" || c.Status == "" {
			t.Errorf("incomplete: %+v", c)
		}
		if c.Status == Fail && c.Fix == "" {
			t.Errorf("no fix: %+v", c)
		}
		names[c.Name] = true
	}
	for _, want := range []string{"kernel", "cgroup", "user namespaces", "memory", "disk", "kvm", "tools"} {
		if !names[want] {
			t.Errorf("no check %q", want)
		}
	}
}

func TestJudgeCgroup(t *testing.T) {
	if c := judgeCgroup("v2", []string{"cpu", "memory", "pids"}, "x"); c.Status != OK || c.Fix != "" {
		t.Errorf("complete: %+v", c)
	}
	if c := judgeCgroup("v1", []string{"cpu"}, "x"); c.Status != Warn || c.Fix != "x" {
		t.Errorf("incomplete: %+v", c)
	}
}

func TestDiskCheckOfADirectoryToCome(t *testing.T) {
	dir := t.TempDir()
	if c := diskCheck(filepath.Join(dir, "not/yet")); c.Status == Fail {
		t.Errorf("%+v", c)
	}
	if os.Getuid() == 0 {
		return // root may write everywhere
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if c := diskCheck(filepath.Join(dir, "x")); c.Status != Fail {
		t.Errorf("an unwritable directory: %+v", c)
	}
}
