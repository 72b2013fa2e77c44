package host

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// defaultFloor is the weakest rung that auto may take when nobody said.
const defaultFloor = api.RungGVisor

// rungRequest is what a spec says about isolation.
type rungRequest struct {
	Want        string   // "auto", "" (= auto) or a rung's name
	Floor       api.Rung // for auto; "" = defaultFloor
	AllowUnsafe bool     // the process rung may be used
}

func (r rungRequest) auto() bool { return r.Want == "" || r.Want == api.IsolationAuto }

// candidate is a driver as the choice sees it.
type candidate struct {
	Driver string
	Rung   api.Rung
}

// eligible lists the drivers that may serve r, strongest rung first and in
// registry order inside a rung. It knows nothing of what the host can do: when
// it leaves one candidate, nothing has to be probed.
func eligible(r rungRequest, drivers []candidate) ([]candidate, error) {
	if r.auto() {
		return eligibleForAuto(r, drivers)
	}
	rung, err := api.ParseRung(r.Want)
	if err != nil {
		return nil, err
	}
	if rung == api.RungProcess && !r.AllowUnsafe {
		return nil, api.Errorf(api.CodeUnavailable, "cannot use isolation process: because it is no boundary at all, and that was not accepted").
			WithFix("accept it with --isolation process --unsafe-no-isolation, or leave --isolation out")
	}
	list := slices.DeleteFunc(slices.Clone(drivers), func(c candidate) bool { return c.Rung != rung })
	if len(list) == 0 {
		return nil, api.Errorf(api.CodeUnavailable, "cannot use isolation %s: because this build has no driver for it", rung).
			WithFix("use --isolation auto, or one of %s", rungNames(drivers))
	}
	return list, nil
}

func eligibleForAuto(r rungRequest, drivers []candidate) ([]candidate, error) {
	floor := r.Floor
	if floor == "" {
		floor = defaultFloor
	}
	if _, err := api.ParseRung(string(floor)); err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(slices.Clone(drivers), func(c candidate) bool {
		return !c.Rung.AtLeast(floor) || c.Rung == api.RungProcess && !r.AllowUnsafe
	})
	if len(list) == 0 {
		return nil, api.Errorf(api.CodeUnavailable, "cannot choose an isolation: because no driver reaches the floor %s", floor).
			WithFix("see brig doctor; this build has %s", rungNames(drivers))
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		switch {
		case a.Rung == b.Rung:
			return 0
		case a.Rung.AtLeast(b.Rung):
			return -1
		}
		return 1
	})
	return list, nil
}

// strongest takes the first of the eligible that the host can run, and asks no
// further. Emulation is too slow for auto, but good enough for somebody who
// named the rung.
func strongest(r rungRequest, list []candidate, probe func(candidate) (driver.Probe, error)) (candidate, error) {
	var probes []driver.Probe
	for _, c := range list {
		p, err := probe(c)
		if err != nil {
			return candidate{}, err
		}
		if p.OK && !(r.auto() && p.Emulated) {
			return c, nil
		}
		probes = append(probes, p)
	}
	return candidate{}, cannotRun(r, list, probes)
}

// cannotRun says why none of the drivers runs here. The fix is the weakest
// one's: it is the nearest to what was asked for.
func cannotRun(r rungRequest, list []candidate, probes []driver.Probe) error {
	var why []string
	fix := "see brig doctor"
	for i, p := range probes {
		reason := p.Reason
		if p.OK && p.Emulated {
			reason = "it runs only in emulation, which is too slow to be chosen by itself"
		}
		why = append(why, list[i].Driver+": "+reason)
		if p.Fix != "" {
			fix = p.Fix
		}
	}
	want := r.Want
	if r.auto() {
		want = api.IsolationAuto
	}
	return api.Errorf(api.CodeUnavailable, "cannot use isolation %s: because this host can't run it (%s)", want, strings.Join(why, "; ")).
		WithFix("%s", fix)
}

func rungNames(list []candidate) string {
	var names []string
	for _, c := range list {
		if !slices.Contains(names, string(c.Rung)) {
			names = append(names, string(c.Rung))
		}
	}
	return strings.Join(names, ", ")
}

// A failed probe is asked again after this long, so that a long-lived process
// notices that its host was mended.
const probeRetry = 30 * time.Second

// prober asks a driver at most once for what costs a whole guest to find out.
type prober struct {
	drv  driver.Driver
	turn chan struct{} // one probe at a time; holds a token while free
	// worked is set when the driver has made a box: it needs no more proof.
	worked atomic.Bool

	mu   sync.Mutex
	last driver.Probe
	at   time.Time // zero before the first answer
}

func newProber(d driver.Driver) *prober {
	p := &prober{drv: d, turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p
}

// probe gives the driver's report, from memory when there is one. The error is
// the context's: a probe that was cut short says nothing about the host.
func (p *prober) probe(ctx context.Context) (driver.Probe, error) {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return driver.Probe{}, cancelled(ctx, "wait for the probe of "+p.drv.Name())
	}
	defer func() { p.turn <- struct{}{} }()
	if last, ok := p.known(); ok {
		return last, nil
	}
	got := p.drv.Probe(ctx)
	if !got.OK && ctx.Err() != nil {
		return driver.Probe{}, cancelled(ctx, "probe "+p.drv.Name())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.at = got, time.Now()
	return got, nil
}

func (p *prober) known() (driver.Probe, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := !p.at.IsZero() && (p.last.OK || time.Since(p.at) < probeRetry)
	return p.last, fresh
}
