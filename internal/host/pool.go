package host

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

const (
	// poolIdle is how long a pooled box is kept unused, and how long a kind that
	// nobody asks for any more is still refilled.
	poolIdle = 2 * time.Minute
	// poolKeep is how long a kind must not have been asked for before its boxes
	// make place for another's, so that requests that alternate between two kinds
	// do not have each other's boxes destroyed.
	poolKeep = 10 * time.Second
	// poolQuiet is how long after a claim nothing is refilled: making a box takes
	// both cores of a small machine for as long as a short program runs, and the
	// program is what somebody waits for.
	poolQuiet = 30 * time.Millisecond
)

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
	helpers  sync.WaitGroup // once closed, it grows only from within
	want     *plan          // the kind that was asked for last
	claimed  time.Time      // when a box was last taken
	asked    map[poolKind]time.Time
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
	session                                  bool
	limits                                   api.Limits
}

func kindOf(p plan) poolKind {
	return poolKind{
		digest: p.template.Digest, driver: p.driver.Name(), snapshot: p.snapshot,
		warm: p.spec.Warm, hostname: p.spec.Hostname, session: p.spec.Session, limits: p.spec.Limits,
	}
}

func newPool(m *Manager, size int) *pool {
	return &pool{m: m, size: size, call: make(chan struct{}, 1), asked: map[poolKind]time.Time{}}
}

// claim gives a sandbox from the pool to the caller of Create, or nil. It tries
// one box: when that does not answer, a new one is the better bet.
func (p *pool) claim(ctx context.Context, want plan) *sandbox {
	if p.size == 0 || want.spec.Reuse || want.spec.Snapshot != "" || want.egress != nil {
		return nil
	}
	s := p.take(want)
	if s == nil {
		return nil
	}
	err := s.foreground()
	if err == nil {
		err = s.greet(ctx, claimTimeout)
	}
	if err == nil {
		err = p.m.handOut(s, want)
	}
	if err != nil {
		s.discard(ctx)
		if ctx.Err() == nil {
			p.noteFailure(err)
		}
		return nil
	}
	p.noteSuccess()
	return s
}

// foreground gives a pooled box the processor, now that somebody waits for it.
func (s *sandbox) foreground() error {
	if f, ok := s.box.(driver.Foregrounder); ok {
		return f.Foreground()
	}
	return nil
}

// take notes what is asked for and gives the oldest box of that kind that still
// lives.
func (p *pool) take(want plan) *sandbox {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.wake()
	kind := kindOf(want)
	p.want, p.asked[kind] = &want, time.Now()
	for {
		i := slices.IndexFunc(p.idle, func(b pooled) bool { return b.kind == kind })
		if i < 0 {
			return nil
		}
		s := p.idle[i].box
		if death, died := s.death(); died {
			p.failed(errors.New("its box died: " + detailOf(death)))
			p.drop(i)
			continue
		}
		p.idle = slices.Delete(p.idle, i, i+1)
		p.claimed = time.Now()
		return s
	}
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
	defer p.close()
	if p.size == 0 {
		return
	}
	look := time.NewTicker(poolIdle / 8)
	defer look.Stop()
	quiet := time.NewTimer(poolIdle)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.call:
		case <-look.C:
		case <-quiet.C:
		}
		p.expire(time.Now())
		if wait := p.untilQuiet(time.Now()); wait > 0 {
			quiet.Reset(wait)
			continue
		}
		p.refill(ctx)
	}
}

// untilQuiet is how long a refill has to wait for what was claimed.
func (p *pool) untilQuiet(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return poolQuiet - now.Sub(p.claimed)
}

// expire drops what has waited for too long.
func (p *pool) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for kind, at := range p.asked {
		if now.Sub(at) > poolIdle {
			delete(p.asked, kind)
		}
	}
	for len(p.idle) > 0 && now.Sub(p.idle[0].since) > poolIdle {
		p.drop(0)
	}
}

// refill starts as many boxes as are missing and as can be had without delaying
// anybody: free room that nobody waits for, and free turns among the starts.
func (p *pool) refill(ctx context.Context) {
	for {
		want := p.reserve(time.Now())
		if want == nil {
			return
		}
		g := p.m.room.tryAcquire(want.need)
		if g == nil {
			p.unreserve()
			return
		}
		if !p.m.starts.TryAcquire(1) {
			g.release()
			p.unreserve()
			return
		}
		p.helpers.Go(func() { p.fill(ctx, *want, g) })
	}
}

// reserve gives the kind to start another box of, if there is place for it. For
// the next time, it makes place when the pool is full of what nobody wants.
func (p *pool) reserve(now time.Time) *plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.want == nil || !p.breaker.closed(now) {
		return nil
	}
	kind := kindOf(*p.want)
	if _, recent := p.asked[kind]; !recent {
		return nil
	}
	if len(p.idle)+p.starting < p.size {
		p.starting++
		return p.want
	}
	stale := slices.IndexFunc(p.idle, func(b pooled) bool {
		return b.kind != kind && now.Sub(p.asked[b.kind]) > poolKeep
	})
	if stale >= 0 {
		p.drop(stale)
	}
	return nil
}

func (p *pool) unreserve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starting--
}

// fill makes one box and keeps it.
func (p *pool) fill(ctx context.Context, want plan, g *grant) {
	s, err := p.prepare(ctx, want, g)
	p.m.starts.Release(1)
	if err != nil && ctx.Err() == nil {
		p.noteFailure(err)
	}
	p.keep(want, s)
	if p.m.room.waiting() { // somebody came while the box was not there to be spared
		p.spare()
	}
	p.wake()
}

func (p *pool) prepare(ctx context.Context, want plan, g *grant) (*sandbox, error) {
	dir, err := p.m.snapshotDir(ctx, want)
	if err != nil {
		g.release()
		return nil, err
	}
	s, err := p.m.boot(ctx, want, dir, g, true)
	if err != nil {
		return nil, err
	}
	err = p.m.journal.write(s.record())
	if err == nil && dir != "" && !s.session { // a session's interpreters are not the agent's
		within, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		err = guest.Prime(within, s.box.Channel())
	}
	if err != nil {
		s.discard(ctx)
		return nil, err
	}
	return s, nil
}

// keep puts a new box, or none when it failed, in the place that was reserved.
func (p *pool) keep(want plan, s *sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starting--
	if s == nil {
		return
	}
	p.idle = append(p.idle, pooled{box: s, kind: kindOf(want), since: time.Now()})
	if p.closed {
		p.drop(len(p.idle) - 1)
	}
}

func (p *pool) noteFailure(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed(err)
}

// failed is noteFailure for a caller that holds mu.
func (p *pool) failed(err error) {
	p.breaker.failed(time.Now())
	p.m.log.Warn("a pooled sandbox failed", "error", err, "failures", p.breaker.failures)
}

// noteSuccess is for a box that a caller could use. That one was made says less.
func (p *pool) noteSuccess() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breaker.succeeded()
}

// spare gives up one box because somebody waits for room: one that nobody wants
// any more, else the oldest. When it is gone, its room goes to the next in turn,
// and if that was not enough, spare is called again.
func (p *pool) spare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return
	}
	i := slices.IndexFunc(p.idle, func(b pooled) bool { return b.kind != kindOf(*p.want) })
	p.drop(max(i, 0))
}

// drop destroys an idle box in the background. The caller holds mu.
func (p *pool) drop(i int) {
	s := p.idle[i].box
	p.idle = slices.Delete(p.idle, i, i+1)
	p.helpers.Go(func() { s.discard(p.m.ctx) })
}

// close destroys all boxes and waits for everything that the pool started.
func (p *pool) close() {
	p.mu.Lock()
	for len(p.idle) > 0 {
		p.drop(0)
	}
	p.closed = true
	p.mu.Unlock()
	p.helpers.Wait()
}
