package control

import (
	"context"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// Hibernate keeps a running sandbox on disk and gives back all that it holds. Its
// deadline goes on. Its next use wakes it. Background processes go on then; calls
// under way end.
func (sb *Sandbox) Hibernate(ctx context.Context) error { return sb.hibernate(ctx, false, 0) }

// hibernate is Hibernate. It does nothing if the sandbox is used and idle is asked
// for; with a ttl the deadline moves to so long from now.
func (sb *Sandbox) hibernate(ctx context.Context, idle bool, ttl time.Duration) error {
	release, err := sb.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	r, box, err := sb.living()
	if err != nil || r.Status == api.StatusHibernated {
		return err
	}
	if r.Status != api.StatusRunning || box == nil {
		return api.Errorf(api.CodeConflict, "cannot hibernate sandbox %s: because it is %s", sb.id, r.Status).
			WithFix("resume it with 'brig sandbox resume %s'", sb.id)
	}
	if !sb.letGo(idle) {
		return nil
	}
	m, err := sb.take(ctx, r, box, sb.svc.journal.sleepName(), 0)
	if err == nil {
		err = sb.svc.cfg.Snapshots.Pin(ctx, m.ID, sb.id)
	}
	if err == nil {
		err = sb.change(func(r *record) {
			r.Status, r.HibernatedIn, r.Box = api.StatusHibernated, m.ID, ""
			if ttl > 0 {
				r.TTLSeconds, r.ExpiresAt = ttl.Seconds(), time.Now().Add(ttl)
			}
		})
	}
	if err != nil {
		sb.setBox(box)
		if m.ID != "" {
			sb.svc.removeSleep(ctx, m)
		}
		return err
	}
	sb.procs.lieDown()
	destroy(ctx, box)
	sb.cells.drop(ctx)
	sb.procs.wait()
	sb.event("hibernated", "size", api.FormatBytes(m.SizeBytes))
	sb.sleep(m.ID)
	return nil
}

// letGo takes the box from new calls, which wait for the turn and then wake the
// sandbox.
func (sb *Sandbox) letGo(idle bool) bool {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if idle && sb.users > 0 {
		return false
	}
	sb.box = nil
	return true
}

func (sb *Sandbox) setBox(box host.Session) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.box = box
}

// sleep ends the sandbox at its deadline as long as it sleeps in this snapshot.
func (sb *Sandbox) sleep(snapshot string) {
	sb.svc.work.Go(func() {
		for {
			r := sb.record()
			if r.Status != api.StatusHibernated || r.HibernatedIn != snapshot {
				return
			}
			late := time.NewTimer(max(0, r.left()))
			select {
			case <-sb.svc.ctx.Done():
			case <-sb.nudge:
			case <-late.C:
				if err := sb.end(sb.svc.ctx, api.StatusDeleted, "ttl", "while it hibernated"); err != nil {
					sb.svc.log.Warn("cannot end a hibernated sandbox", "id", sb.id, "error", err)
				}
			}
			late.Stop()
			if sb.svc.ctx.Err() != nil {
				return
			}
		}
	})
}

// Wake restores a hibernated sandbox; a running one is left as it is. When that
// fails it hibernates on.
func (sb *Sandbox) Wake(ctx context.Context) error {
	release, err := sb.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	r, box, err := sb.living()
	if err != nil || box != nil {
		return err
	}
	if r.Status != api.StatusHibernated || r.left() <= 0 {
		return api.Errorf(api.CodeConflict, "cannot wake sandbox %s: because it is ending", sb.id).WithFix("make a new one with 'brig sandbox create'")
	}
	began := time.Now()
	if box, err = sb.restore(ctx, r); err != nil {
		return err
	}
	err = sb.change(func(rec *record) {
		rec.Status, rec.HibernatedIn, rec.Box = api.StatusRunning, "", box.Info().ID
		rec.BootMode, rec.BootMS = "snapshot", time.Since(began).Milliseconds()
	})
	if err != nil {
		sb.cells.drop(ctx)
		destroy(ctx, box)
		return err
	}
	sb.svc.removeSleep(ctx, api.Snapshot{ID: r.HibernatedIn, Sandbox: sb.id})
	sb.lookAgain() // ends its sleep
	sb.takeUp(box)
	sb.run(box)
	sb.event("woke")
	return nil
}

// restore makes a box of the snapshot that the sandbox sleeps in.
func (sb *Sandbox) restore(ctx context.Context, r record) (host.Session, error) {
	if sb.svc.cfg.Snapshots == nil {
		return nil, errNoSnapshots()
	}
	m, err := sb.svc.cfg.Snapshots.Get(ctx, r.HibernatedIn)
	if err != nil {
		return nil, err
	}
	dir, release, err := sb.svc.useSnapshot(ctx, m)
	if err != nil {
		return nil, err
	}
	defer release()
	b := birth{rec: r, spec: childSpec(r, time.Until(r.boxDeadline()))}
	b.restore(m, dir, "snapshot")
	box, err := sb.svc.makeBox(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := sb.resumeKernels(ctx, box, m.Kernels); err != nil {
		sb.cells.drop(ctx)
		destroy(ctx, box)
		return nil, err
	}
	return box, nil
}

// childSpec asks for a box as r's, which comes from a snapshot of it.
func childSpec(r record, ttl time.Duration) api.SandboxSpec {
	return api.SandboxSpec{
		Isolation: string(r.Isolation), Floor: r.Isolation, TTL: ttl, Trust: r.Owner, Session: true,
		Egress: r.Egress, Name: r.Name, Metadata: r.Metadata,
	}
}
