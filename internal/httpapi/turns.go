package httpapi

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
)

// Bounds of one owner's requests.
const (
	maxOpen    = 2048 // under way at a time, streams among them
	maxWaiting = 4096 // for a turn
	// turnWithin is how long a request waits for its turn.
	turnWithin = 30 * time.Second
	// How long a request counts as work at the most. Programs and transfers that take
	// longer mostly wait, and the kernel shares the processor among them; what the
	// server makes and removes is work until its end, unless it waits for room.
	turnRuns  = 50 * time.Millisecond
	turnMakes = time.Second
	// turnFresh is how long an owner counts as competing after its last work.
	turnFresh = 2 * time.Second
)

// turns keeps a busy owner from slowing down the others. While several compete,
// each may have its share of slots at work at a time, and its further requests
// wait in order; an owner that is alone is not held back.
type turns struct {
	slots  int
	within time.Duration

	mu     sync.Mutex
	owners map[string]*ownerTurns
}

// ownerTurns are the requests of one owner.
type ownerTurns struct {
	open, busy int
	last       time.Time // of work
	// queue has those that wait: work, and what only looks, which waits for no work.
	queue map[bool][]*turn
}

// turn is a request's place.
type turn struct {
	holds time.Duration // turnRuns, turnMakes, or 0 for a request that only looks
	ready chan struct{} // closed, under mu, when it was admitted
}

func (x *turn) works() bool { return x.holds > 0 }

// holdsTurn is how long a request to a row counts as work.
func holdsTurn(pattern string, need auth.Need) time.Duration {
	if need.Looks || strings.Contains(pattern, "/mcp") { // whose calls come here again
		return 0
	}
	for _, runs := range []string{"/exec", "/ssh", "/code", "/repl", "/processes", "/fs", "/proxy", "/v1/files"} {
		if strings.Contains(pattern, runs) {
			return turnRuns
		}
	}
	return turnMakes
}

func newTurns(slots int) *turns {
	return &turns{slots: slots, within: turnWithin, owners: map[string]*ownerTurns{}}
}

// take waits for a turn, which counts as work for so long, 0 for not at all, and is
// given back with release. CodeExhausted after too long a wait.
func (t *turns) take(ctx context.Context, owner string, holds time.Duration) (release func(), err error) {
	x := &turn{holds: holds, ready: make(chan struct{})}
	works := x.works()
	t.mu.Lock()
	o := t.owners[owner]
	if o == nil {
		t.forget()
		o = &ownerTurns{queue: map[bool][]*turn{}}
		t.owners[owner] = o
	}
	if works {
		o.last = time.Now()
	}
	if len(o.queue[works]) >= maxWaiting {
		t.mu.Unlock()
		return nil, errManyRequests()
	}
	o.queue[works] = append(o.queue[works], x)
	t.dispatch(o)
	t.mu.Unlock()
	late := time.NewTimer(t.within)
	defer late.Stop()
	select {
	case <-x.ready:
		return t.releaser(o, x), nil
	case <-late.C:
		err = errManyRequests()
	case <-ctx.Done():
		err = api.Errorf(api.CodeCancelled, "cannot wait for a turn: because the caller went away")
	}
	if !t.withdraw(o, x) {
		t.releaser(o, x)()
	}
	return nil, err
}

func errManyRequests() error {
	return api.Errorf(api.CodeExhausted, "cannot serve the request in time: because too many of this owner are under way").
		WithFix("send fewer at a time, and repeat this one after Retry-After")
}

// dispatch admits whoever may go. The caller holds mu.
func (t *turns) dispatch(o *ownerTurns) {
	for _, works := range []bool{false, true} {
		for len(o.queue[works]) > 0 && o.open < maxOpen && !(works && o.busy >= t.share()) {
			x := o.queue[works][0]
			o.queue[works] = o.queue[works][1:]
			o.open++
			if works {
				o.busy++
			}
			close(x.ready)
		}
	}
}

// share is how many of one owner may work at a time. The caller holds mu.
func (t *turns) share() int {
	competing := 0
	for _, o := range t.owners {
		if o.busy > 0 || time.Since(o.last) < turnFresh {
			competing++
		}
	}
	if competing < 2 {
		return maxOpen
	}
	return max(1, t.slots/competing)
}

// releaser gives back a turn: its work after a while, the rest when it is called.
func (t *turns) releaser(o *ownerTurns, x *turn) func() {
	if !x.works() {
		return sync.OnceFunc(func() { t.give(o, 1, 0) })
	}
	worked := sync.OnceFunc(func() { t.give(o, 0, 1) })
	timer := time.AfterFunc(x.holds, worked)
	return sync.OnceFunc(func() {
		timer.Stop()
		worked()
		t.give(o, 1, 0)
	})
}

func (t *turns) give(o *ownerTurns, open, busy int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o.open -= open
	o.busy -= busy
	t.dispatch(o)
}

// withdraw takes a request out of the queue; false when it was admitted meanwhile.
func (t *turns) withdraw(o *ownerTurns, x *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(o.queue[x.works()], x)
	if i < 0 {
		return false
	}
	o.queue[x.works()] = slices.Delete(o.queue[x.works()], i, i+1)
	t.dispatch(o)
	return true
}

// forget drops owners that have nothing under way. The caller holds mu.
func (t *turns) forget() {
	for name, o := range t.owners {
		if o.open == 0 && o.waiting() == 0 && time.Since(o.last) > turnFresh {
			delete(t.owners, name)
		}
	}
}

// waiting counts the requests that wait.
func (t *turns) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, o := range t.owners {
		n += o.waiting()
	}
	return n
}

func (o *ownerTurns) waiting() int { return len(o.queue[false]) + len(o.queue[true]) }
