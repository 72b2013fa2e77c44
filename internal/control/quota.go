package control

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// Quota is what the running sandboxes of one owner may hold together; 0 is no
// bound. What hibernates or has ended holds nothing.
type Quota struct {
	Sandboxes   int
	MemoryBytes int64 // by their limits, and what their boxes cost beside
}

// within tells whether holding h is allowed.
func (q Quota) within(h holding) bool {
	return (q.Sandboxes == 0 || h.sandboxes <= q.Sandboxes) && (q.MemoryBytes == 0 || h.bytes <= q.MemoryBytes)
}

// holding is what an owner holds.
type holding struct {
	sandboxes int
	bytes     int64
}

// quotas makes an owner that wants more than its quota wait for itself: the first
// comes first. Others do not wait for it.
type quotas struct {
	of func(owner string) Quota

	mu     sync.Mutex
	held   map[string]holding
	queues map[string][]*claim
}

// claim is a request that waits.
type claim struct {
	bytes int64
	ready chan struct{} // closed, under mu, when it holds what it asked for
}

func newQuotas(of func(string) Quota) *quotas {
	if of == nil {
		of = func(string) Quota { return Quota{} }
	}
	return &quotas{of: of, held: map[string]holding{}, queues: map[string][]*claim{}}
}

// take waits until owner may hold another sandbox of so much memory, or ctx ends;
// it holds it until release, which may be called more than once. CodeExhausted when
// its quota can never allow it.
func (q *quotas) take(ctx context.Context, owner string, bytes int64) (release func(), err error) {
	if limit := q.of(owner); !limit.within(holding{1, bytes}) {
		return nil, api.Errorf(api.CodeExhausted, "cannot make a sandbox of %s: because its owner may have %s in all", api.FormatBytes(bytes), api.FormatBytes(limit.MemoryBytes)).
			WithFix("ask for less memory")
	}
	c := &claim{bytes: bytes, ready: make(chan struct{})}
	q.mu.Lock()
	q.queues[owner] = append(q.queues[owner], c)
	q.dispatch(owner)
	q.mu.Unlock()
	release = sync.OnceFunc(func() { q.give(owner, bytes) })
	select {
	case <-c.ready:
		return release, nil
	case <-ctx.Done():
	}
	if !q.withdraw(owner, c) {
		release()
	}
	return nil, errQuota(q.of(owner), bytes)
}

// errQuota is for who waited in vain for room in its own quota.
func errQuota(q Quota, bytes int64) error {
	return api.Errorf(api.CodeExhausted, "cannot make a sandbox of %s: because its owner may have %s in all, and there was no room in time", api.FormatBytes(bytes), q).
		WithFix("remove or hibernate sandboxes that are not needed, make fewer at a time, or give each less memory")
}

// String says what a quota allows.
func (q Quota) String() string {
	switch {
	case q.Sandboxes == 0:
		return api.FormatBytes(q.MemoryBytes) + " of memory"
	case q.MemoryBytes == 0:
		return fmt.Sprintf("%d at a time", q.Sandboxes)
	}
	return fmt.Sprintf("%d at a time and ", q.Sandboxes) + api.FormatBytes(q.MemoryBytes) + " of memory"
}

// dispatch gives to those who wait what fits now. The caller holds mu.
func (q *quotas) dispatch(owner string) {
	limit := q.of(owner)
	for len(q.queues[owner]) > 0 {
		c, h := q.queues[owner][0], q.held[owner]
		h.sandboxes++
		h.bytes += c.bytes
		if !limit.within(h) {
			return
		}
		q.held[owner] = h
		q.queues[owner] = q.queues[owner][1:]
		close(c.ready)
	}
	delete(q.queues, owner)
}

func (q *quotas) give(owner string, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.held[owner]
	h.sandboxes--
	h.bytes -= bytes
	if q.held[owner] = h; h == (holding{}) {
		delete(q.held, owner)
	}
	q.dispatch(owner)
}

// withdraw takes back a claim; false when it was met in the same moment.
func (q *quotas) withdraw(owner string, c *claim) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.queues[owner], c)
	if i < 0 {
		return false
	}
	q.queues[owner] = slices.Delete(q.queues[owner], i, i+1)
	q.dispatch(owner)
	return true
}

// holdFor keeps what a box holds until the box is gone.
func (s *Service) holdFor(box host.Session, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // and so is the box
		release()
		return
	}
	s.work.Go(func() {
		select {
		case <-box.Done():
		case <-s.ctx.Done():
		}
		release()
	})
}

// Count is how many sandboxes of all owners are remembered, by status.
func (s *Service) Count() map[string]int {
	n := map[string]int{}
	for _, sb := range s.all() {
		n[sb.record().Status]++
	}
	return n
}
