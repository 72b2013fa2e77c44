package control

import (
	"context"
	"time"

	"github.com/brigdev/brig/api"
)

// parkGrace is how long a sandbox may take to hibernate at its deadline. Then its
// host ends it.
const parkGrace = time.Minute

// boxDeadline is when the host ends the box, whatever happens here.
func (r record) boxDeadline() time.Time {
	if !r.HibernateAtEnd {
		return r.ExpiresAt
	}
	at := r.ExpiresAt.Add(parkGrace)
	if latest := time.Now().Add(maxTTL); at.After(latest) {
		return latest
	}
	return at
}

// Park hibernates a sandbox and has it sleep for as long as a TTL may be, whatever
// is left of its own.
func (sb *Sandbox) Park(ctx context.Context) error { return sb.hibernate(ctx, false, maxTTL) }

// endTimer fires at the deadline of a running sandbox that then hibernates; never
// for another, whose deadline its host keeps.
func (sb *Sandbox) endTimer() (<-chan time.Time, func()) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if !sb.rec.HibernateAtEnd || sb.rec.Status != api.StatusRunning || sb.box == nil {
		return nil, func() {}
	}
	t := time.NewTimer(max(0, time.Until(sb.rec.ExpiresAt)))
	return t.C, func() { t.Stop() }
}

// sleepAtEnd hibernates a sandbox whose deadline has come, and ends it when that
// fails.
func (sb *Sandbox) sleepAtEnd() {
	sb.mu.Lock()
	now := sb.rec.HibernateAtEnd && !time.Now().Before(sb.rec.ExpiresAt) && sb.rec.Status == api.StatusRunning && !sb.leaving
	sb.mu.Unlock()
	if !now {
		return
	}
	err := sb.Park(sb.svc.ctx)
	if err == nil {
		return
	}
	sb.svc.log.Warn("cannot hibernate a sandbox at its deadline", "id", sb.id, "error", err)
	if err := sb.end(sb.svc.ctx, api.StatusDeleted, "ttl", "it could not hibernate"); err != nil {
		sb.svc.log.Warn("cannot end a sandbox", "id", sb.id, "error", err)
	}
}
