package host

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

// poolIdle is how long a pooled box is kept unused, and how long a kind of
// sandbox that nobody asks for any more is still refilled.
const poolIdle = 2 * time.Minute

// pool keeps boxes of the kind that was asked for last restored ahead of need. It
// is a cache: when it is empty, broken or full of another kind, a sandbox is made
// as if there were no pool. Its boxes are single-use like any other, count in
// admission, and are the first to go when room is needed.
//
// A pooled box has not been greeted: START, which carries the guest's entropy and
// clock, is sent when the box is handed out. So what waits in the pool holds no
// entropy that could age or be given twice, its clock is set when it begins to
// matter, and a box that died or hangs is found out before a caller has it.
type pool struct {
	m    *Manager
	size int
	call chan struct{} // holds a token when there is something to look at

	mu       sync.Mutex
	closed   bool
	want     *plan // the kind to keep ready; nil when none was asked for lately
	wantedAt time.Time
	idle     []pooled // the oldest first
	starting int
	breaker  breaker
}

type pooled struct {
	box   *sandbox
	kind  poolKind
	since time.Time
}

// poolKind is what two requests must share for one box to serve either.
type poolKind struct {
	digest, driver, snapshot, warm, hostname string
	limits                                   api.Limits
}

func kindOf(p plan) poolKind {
	return poolKind{
		digest: p.template.Digest, driver: p.driver.Name(), snapshot: p.snapshot,
		warm: p.spec.Warm, hostname: p.spec.Hostname, limits: p.spec.Limits,
	}
}

func newPool(m *Manager, size int) *pool {
	return &pool{m: m, size: size, call: make(chan struct{}, 1)}
}

// wake has the pool look whether it can refill: room or a turn became free.
func (p *pool) wake() {
	select {
	case p.call <- struct{}{}:
	default:
	}
}

// run tends the pool until ctx ends, and leaves it empty.
func (p *pool) run(ctx context.Context) {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	if p.size == 0 {
		return
	}
	defer p.close(&helpers)
	look := time.NewTicker(poolIdle / 8)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.call:
		case <-look.C:
		}
		p.expire(&helpers)
		p.refill(ctx, &helpers)
	}
}
