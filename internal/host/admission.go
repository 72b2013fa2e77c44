package host

import (
	"context"
	"slices"
	"sync"

	"github.com/brigdev/brig/api"
)

// boxOverhead is what a box costs beside its program's memory limit: the
// sentry's own heap and its stub processes.
const boxOverhead = 80 << 20

// sessionsPerCPU is how many sessions are admitted in the place of one sandbox that
// computes all the time.
const sessionsPerCPU = 16

// demand is what one sandbox takes of the host while it exists.
type demand struct {
	bytes    int64
	milliCPU int64 // integers, so that returning what was taken leaves exactly nothing
}

func demandOf(l api.Limits) demand {
	return demand{bytes: l.MemoryBytes + boxOverhead, milliCPU: int64(l.CPUs * 1000)}
}

// demandOfSpec is demandOf for a request. A session mostly waits for its caller, and
// the kernel shares the processor among those that work: it holds a share of one,
// or a few sessions would keep all others out.
func demandOfSpec(spec api.SandboxSpec) demand {
	d := demandOf(spec.Limits)
	if spec.Session {
		d.milliCPU /= sessionsPerCPU
	}
	return d
}

func (d demand) within(room demand) bool {
	return d.bytes <= room.bytes && d.milliCPU <= room.milliCPU
}

func (d demand) plus(e demand) demand {
	return demand{d.bytes + e.bytes, d.milliCPU + e.milliCPU}
}

func (d demand) minus(e demand) demand {
	return demand{d.bytes - e.bytes, d.milliCPU - e.milliCPU}
}

// admission shares the host's memory and processor time among sandboxes. Those
// that do not fit wait: the trust domains that wait are served in turn, and
// inside one the first comes first. Nobody overtakes the one whose turn it is,
// so a large request is never starved by small ones.
type admission struct {
	total demand
	// onShort is called, without locks, when somebody has to wait: whoever holds
	// room that it can spare should release it.
	onShort func()

	mu     sync.Mutex
	used   demand
	queues map[string][]*waiter // by trust domain, the first first
	turns  []string             // trust domains that wait, the next first
}

type waiter struct {
	need  demand
	ready chan struct{} // closed, under mu, when its room has been taken
}

// grant is room that was admitted. Release gives it back once.
type grant struct {
	from *admission
	need demand
	once sync.Once
}

func (g *grant) release() {
	g.once.Do(func() { g.from.put(g.need) })
}

func newAdmission(total demand, onShort func()) *admission {
	return &admission{total: total, onShort: onShort, queues: map[string][]*waiter{}}
}

// acquire waits until the request fits. CodeExhausted when it never can,
// CodeCancelled when ctx ends first.
func (a *admission) acquire(ctx context.Context, trust string, need demand) (*grant, error) {
	if !need.within(a.total) {
		return nil, tooLarge(need, a.total)
	}
	if ctx.Err() != nil {
		return nil, cancelled(ctx, "admit the sandbox")
	}
	a.mu.Lock()
	w := &waiter{need: need, ready: make(chan struct{})}
	a.push(trust, w)
	short := a.dispatch()
	a.mu.Unlock()
	if short {
		a.onShort()
	}
	select {
	case <-w.ready:
		return &grant{from: a, need: need}, nil
	case <-ctx.Done():
		a.withdraw(trust, w)
		return nil, cancelled(ctx, "wait for room for the sandbox")
	}
}

// tryAcquire takes room only when it is free and nobody waits for any.
func (a *admission) tryAcquire(need demand) *grant {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.turns) > 0 || !a.used.plus(need).within(a.total) {
		return nil
	}
	a.used = a.used.plus(need)
	return &grant{from: a, need: need}
}

// waiting tells whether somebody waits for room.
func (a *admission) waiting() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.turns) > 0
}

func (a *admission) put(need demand) {
	a.mu.Lock()
	a.used = a.used.minus(need)
	short := a.dispatch()
	a.mu.Unlock()
	if short {
		a.onShort()
	}
}

func (a *admission) push(trust string, w *waiter) {
	if len(a.queues[trust]) == 0 {
		a.turns = append(a.turns, trust)
	}
	a.queues[trust] = append(a.queues[trust], w)
}

// dispatch admits in turn whoever fits and tells whether somebody still waits.
// The caller holds mu.
func (a *admission) dispatch() bool {
	for len(a.turns) > 0 {
		trust := a.turns[0]
		w := a.queues[trust][0]
		if !a.used.plus(w.need).within(a.total) {
			return true
		}
		a.used = a.used.plus(w.need)
		close(w.ready)
		a.turns = a.turns[1:]
		a.queues[trust] = a.queues[trust][1:]
		if len(a.queues[trust]) > 0 {
			a.turns = append(a.turns, trust)
		} else {
			delete(a.queues, trust)
		}
	}
	return false
}

// withdraw takes back a request whose caller went away, or its room when it was
// admitted in the same moment.
func (a *admission) withdraw(trust string, w *waiter) {
	a.mu.Lock()
	i := slices.Index(a.queues[trust], w)
	if i < 0 {
		a.mu.Unlock()
		a.put(w.need)
		return
	}
	a.queues[trust] = slices.Delete(a.queues[trust], i, i+1)
	if len(a.queues[trust]) == 0 {
		delete(a.queues, trust)
		a.turns = slices.DeleteFunc(a.turns, func(t string) bool { return t == trust })
	}
	short := a.dispatch() // it may have been the one that the others waited behind
	a.mu.Unlock()
	if short {
		a.onShort()
	}
}

func tooLarge(need, total demand) error {
	if need.bytes > total.bytes {
		return api.Errorf(api.CodeExhausted, "cannot make a sandbox of %s (%s of it for the box): because this host gives sandboxes %s",
			api.FormatBytes(need.bytes), api.FormatBytes(boxOverhead), api.FormatBytes(total.bytes)).
			WithFix("use --memory %s or less", api.FormatBytes(max(0, total.bytes-boxOverhead)))
	}
	return api.Errorf(api.CodeExhausted, "cannot make a sandbox of %g cpus: because this host gives sandboxes %g",
		float64(need.milliCPU)/1000, float64(total.milliCPU)/1000).
		WithFix("use --cpus %g or less", float64(total.milliCPU)/1000)
}

// cancelled is the error of an operation whose context ended.
func cancelled(ctx context.Context, doing string) error {
	return api.Errorf(api.CodeCancelled, "cannot %s: because %w", doing, context.Cause(ctx))
}
