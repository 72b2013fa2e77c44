// Package doctor says what this host can run, at what speed, what is missing
// and the exact command that mends it. A check looks at one named thing and
// never fails: what went wrong is its answer. Rungs are probed by running a
// guest, not by looking for a device file.
package doctor

import (
	"context"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// Status is the outcome of a check.
type Status string

// The outcomes. Warn means that Brig works, but not as well as it could.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
	// Absent is a rung that this version has no driver for.
	Absent Status = "absent"
)

// Check is one named fact about the host.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // one command, or one line to act on
}

// Rung is one step of the ladder on this host. Probes is empty when this
// version of Brig has no driver for it.
type Rung struct {
	Rung   api.Rung       `json:"rung"`
	Status Status         `json:"status"`
	Detail string         `json:"detail"`
	Probes []driver.Probe `json:"probes"`
}

// Report is all that a doctor found.
type Report struct {
	Checks []Check `json:"checks"`
	Rungs  []Rung  `json:"rungs"` // strongest first
	// Auto is the rung that --isolation auto takes, or "" when there is none.
	Auto api.Rung `json:"auto"`
	// OK says that a sandbox of at least gvisor's strength works here.
	OK bool `json:"ok"`
}

// Run makes every check, one after the other so that none disturbs the times
// of another. It ends early, with what it has, when ctx does.
func Run(ctx context.Context, drivers []driver.Driver, dataDir string) Report {
	r := Report{Checks: []Check{
		kernelCheck(), cgroupCheck(), userNamespaceCheck(), memoryCheck(),
		diskCheck(dataDir), kvmCheck(), toolsCheck(),
	}}
	ladder := api.Rungs()
	for i := len(ladder) - 1; i >= 0; i-- {
		rung := probeRung(ctx, ladder[i], drivers)
		r.Rungs = append(r.Rungs, rung)
		if r.Auto == "" && rung.Rung.AtLeast(api.RungGVisor) && usable(rung.Probes) {
			r.Auto = rung.Rung
		}
	}
	r.OK = r.Auto != ""
	return r
}

// probeRung runs a guest with every driver of one rung.
func probeRung(ctx context.Context, rung api.Rung, drivers []driver.Driver) Rung {
	out := Rung{Rung: rung, Status: Absent, Detail: "not built in this version", Probes: []driver.Probe{}}
	for _, d := range drivers {
		if d.Rung() != rung {
			continue
		}
		p := d.Probe(ctx)
		out.Probes = append(out.Probes, p)
		switch {
		case p.OK && len(p.Degraded) == 0 && !p.Emulated:
			out.Status, out.Detail = OK, "works"
		case p.OK && out.Status != OK:
			out.Status, out.Detail = Warn, "works, by fall-backs"
		case !p.OK && out.Status == Absent:
			out.Status, out.Detail = Fail, p.Reason
		}
	}
	if rung == api.RungProcess && usable(out.Probes) {
		out.Status, out.Detail = Warn, "works, and is no boundary: only with --unsafe-no-isolation"
	}
	return out
}

// usable tells whether any driver of the rung runs guests at usable speed.
func usable(probes []driver.Probe) bool {
	for _, p := range probes {
		if p.OK && !p.Emulated {
			return true
		}
	}
	return false
}
