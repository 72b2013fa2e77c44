package control

import (
	"context"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// Lifecycle says how long the sandbox may live.
func (sb *Sandbox) Lifecycle() api.Lifecycle {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	l := api.Lifecycle{
		TTLSeconds: sb.rec.TTLSeconds, ExpiresAt: sb.rec.ExpiresAt,
		IdleTimeoutSeconds: sb.rec.IdleTimeoutSeconds, Persistent: sb.rec.Persistent, HibernateAtEnd: sb.rec.HibernateAtEnd,
	}
	if sb.users == 0 {
		l.IdleSeconds = time.Since(sb.used).Seconds()
	}
	return l
}

// SetLifecycle moves the deadlines. A new TTL counts from now.
func (sb *Sandbox) SetLifecycle(ctx context.Context, c api.LifecycleChange) (api.Lifecycle, error) {
	release, err := sb.takeTurn(ctx)
	if err != nil {
		return api.Lifecycle{}, err
	}
	defer release()
	r, box, err := sb.living()
	if err != nil {
		return api.Lifecycle{}, err
	}
	if c.IdleTimeoutSeconds != nil {
		if *c.IdleTimeoutSeconds < 0 || seconds(*c.IdleTimeoutSeconds) > maxTTL {
			return api.Lifecycle{}, badTime("idle timeout", *c.IdleTimeoutSeconds)
		}
		r.IdleTimeoutSeconds = *c.IdleTimeoutSeconds
	}
	if c.Persistent != nil {
		r.Persistent = *c.Persistent
	}
	if c.HibernateAtEnd != nil {
		r.HibernateAtEnd = *c.HibernateAtEnd
	}
	if c.TTLSeconds != nil {
		ttl, err := ttlOf(*c.TTLSeconds, r.Persistent)
		if err != nil {
			return api.Lifecycle{}, err
		}
		if at := time.Now().Add(ttl); !c.ExtendOnly || at.After(r.ExpiresAt) {
			r.TTLSeconds, r.ExpiresAt = ttl.Seconds(), at
		}
	}
	if box != nil && (c.TTLSeconds != nil || c.HibernateAtEnd != nil) {
		if err := box.SetDeadline(r.boxDeadline()); err != nil {
			return api.Lifecycle{}, err
		}
	}
	err = sb.change(func(rec *record) {
		rec.TTLSeconds, rec.ExpiresAt, rec.HibernateAtEnd = r.TTLSeconds, r.ExpiresAt, r.HibernateAtEnd
		rec.IdleTimeoutSeconds, rec.Persistent = r.IdleTimeoutSeconds, r.Persistent
	})
	sb.lookAgain()
	return sb.Lifecycle(), err
}

// living gives the record and the box, nil when it hibernates, of a sandbox that
// has not ended.
func (sb *Sandbox) living() (record, host.Session, error) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if !sb.rec.living() || sb.leaving {
		return record{}, nil, sb.errEnded()
	}
	return sb.rec, sb.box, nil
}

// Pause stops every process until Resume; the deadline goes on. A paused one
// stays paused.
func (sb *Sandbox) Pause(ctx context.Context) error {
	return sb.move(ctx, api.StatusRunning, api.StatusPaused, host.Session.Pause)
}

// Resume lets a paused sandbox go on, and wakes a hibernated one. A running one
// stays running.
func (sb *Sandbox) Resume(ctx context.Context) error {
	if sb.record().Status == api.StatusHibernated {
		return sb.Wake(ctx)
	}
	return sb.move(ctx, api.StatusPaused, api.StatusRunning, host.Session.Resume)
}

func (sb *Sandbox) move(ctx context.Context, from, to string, do func(host.Session, context.Context) error) error {
	release, err := sb.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	r, box, err := sb.living()
	if err != nil || r.Status == to {
		return err
	}
	if r.Status != from || box == nil {
		return api.Errorf(api.CodeConflict, "cannot make sandbox %s %s: because it is %s", sb.id, to, r.Status).
			WithFix("wake it with 'brig sandbox resume %s'", sb.id)
	}
	if err := do(box, ctx); err != nil {
		return err
	}
	sb.event(to)
	err = sb.change(func(r *record) {
		if r.living() {
			r.Status = to
		}
	})
	sb.lookAgain()
	return err
}

// Delete destroys the sandbox and returns when nothing in it can run any more. Of
// one that has ended it changes what List says.
func (sb *Sandbox) Delete(ctx context.Context) error {
	return sb.end(ctx, api.StatusDeleted, "deleted", "")
}

// end destroys the box, or the snapshot that the sandbox sleeps in.
func (sb *Sandbox) end(ctx context.Context, status, reason, detail string) error {
	release, err := sb.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	sb.mu.Lock()
	r, box := sb.rec, sb.box
	sb.leaving = r.living()
	sb.mu.Unlock()
	if !r.living() {
		return sb.change(func(r *record) { r.Status = status })
	}
	if box != nil {
		sb.mu.Lock()
		sb.box = nil // its watch leaves the record to us
		sb.mu.Unlock()
		if err := box.Destroy(ctx); err != nil {
			sb.mu.Lock()
			sb.box, sb.leaving = box, false
			sb.mu.Unlock()
			return err
		}
	}
	sb.cells.drop(ctx)
	sb.procs.wait()
	sb.procs.endSleepers()
	if r.HibernatedIn != "" {
		sb.svc.removeSleep(ctx, api.Snapshot{ID: r.HibernatedIn, Sandbox: sb.id})
	}
	sb.setEnded(status, api.Ended{Reason: reason, Detail: detail, At: time.Now()})
	sb.svc.dropOld()
	return nil
}

// shutDown ends a sandbox with its server; a hibernated one sleeps on.
func (sb *Sandbox) shutDown(ctx context.Context) {
	r := sb.record()
	if !r.living() {
		return
	}
	sb.saveLog()
	if r.Status == api.StatusHibernated {
		return
	}
	if err := sb.end(ctx, api.StatusFailed, "server restarted", "the server was stopped, and its sandboxes with it"); err != nil {
		sb.svc.log.Warn("cannot destroy a sandbox", "id", sb.id, "error", err)
	}
}

// Stats is what the sandbox uses now; zero for one that hibernates.
func (sb *Sandbox) Stats() (api.Stats, error) {
	r, box, err := sb.living()
	if err != nil {
		return api.Stats{}, err
	}
	st := api.Stats{CPUs: r.CPU, DiskLimit: r.Limits.DiskBytes}
	if box != nil {
		st.SandboxStats = box.Stats()
	}
	st.MemoryLimit = r.Limits.MemoryBytes
	return st, nil
}
