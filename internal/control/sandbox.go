package control

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// Sandbox is one sandbox of one owner. All methods may be called concurrently.
// Those that use it wake it when it hibernates; CodeConflict when it is paused,
// CodeNotFound when it has ended.
type Sandbox struct {
	svc   *Service
	id    string
	owner string
	// turn holds a token while the sandbox changes its state or is copied: pause,
	// hibernate, wake, snapshot, fork, delete.
	turn chan struct{}
	log  *outputLog // the end of what its programs printed

	procs processes
	cells contexts

	mu      sync.Mutex
	rec     record
	box     host.Session // nil unless running or paused
	leaving bool         // it is being deleted
	users   int          // calls under way
	used    time.Time    // when the last one ended
	events  []api.Event
	news    chan struct{} // closed at the next event
	nudge   chan struct{} // has its watch look at the idle time anew
}

func (s *Service) newSandbox(r record) *Sandbox {
	sb := &Sandbox{
		svc: s, id: r.ID, owner: r.Owner, turn: make(chan struct{}, 1), log: newMemoryLog(maxLogBytes),
		rec: r, used: time.Now(), nudge: make(chan struct{}, 1), news: make(chan struct{}),
	}
	sb.procs.init(&s.outputFiles)
	sb.cells.init()
	return sb
}

// ID is the sandbox's id.
func (sb *Sandbox) ID() string { return sb.id }

// Info describes it.
func (sb *Sandbox) Info() api.Sandbox { return sb.record().Sandbox }

func (sb *Sandbox) record() record {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	r := sb.rec
	r.Metadata = maps.Clone(r.Metadata)
	return r
}

// change alters the record and saves it.
func (sb *Sandbox) change(alter func(*record)) error {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	alter(&sb.rec)
	return sb.svc.journal.save(sb.rec)
}

// use gives the running box to a call, and done is called at its end.
func (sb *Sandbox) use(ctx context.Context) (box host.Session, done func(), err error) {
	for {
		sb.mu.Lock()
		switch {
		case !sb.rec.living() || sb.leaving:
			err = sb.errEnded()
		case sb.rec.Status == api.StatusPaused:
			err = api.Errorf(api.CodeConflict, "cannot use sandbox %s: because it is paused", sb.id).
				WithFix("resume it with 'brig sandbox resume %s'", sb.id)
		case sb.box != nil:
			sb.users++
			box = sb.box
		}
		sb.mu.Unlock()
		if err != nil || box != nil {
			return box, sb.doneUsing, err
		}
		if err := sb.Wake(ctx); err != nil {
			return nil, nil, err
		}
	}
}

func (sb *Sandbox) doneUsing() {
	sb.mu.Lock()
	sb.users--
	sb.used = time.Now()
	sb.mu.Unlock()
	sb.lookAgain()
}

func (sb *Sandbox) lookAgain() {
	select {
	case sb.nudge <- struct{}{}:
	default:
	}
}

// errEnded is for calls that come too late. The caller holds mu.
func (sb *Sandbox) errEnded() error {
	why := "it is being deleted"
	if e := sb.rec.Ended; e != nil {
		why = "it has ended: " + e.Reason
		if e.Detail != "" {
			why += ", " + e.Detail
		}
	}
	return api.Errorf(api.CodeNotFound, "cannot use sandbox %s: because %s", sb.id, why).WithFix("make a new one with 'brig sandbox create'")
}

// takeTurn waits until nobody else changes the sandbox's state.
func (sb *Sandbox) takeTurn(ctx context.Context) (release func(), err error) {
	select {
	case sb.turn <- struct{}{}:
		return func() { <-sb.turn }, nil
	case <-ctx.Done():
		return nil, api.Errorf(api.CodeCancelled, "cannot wait for sandbox %s: because the caller went away", sb.id)
	}
}

// run makes box the sandbox's own and watches it until it ends.
func (sb *Sandbox) run(box host.Session) {
	sb.mu.Lock()
	sb.box, sb.used = box, time.Now()
	sb.mu.Unlock()
	sb.svc.work.Go(func() { sb.watch(box) })
}

// watch ends with box: it records why, ends a sandbox that nobody used for too
// long, and has one hibernate whose deadline means that.
func (sb *Sandbox) watch(box host.Session) {
	for {
		idle, stopIdle := sb.idleTimer()
		end, stopEnd := sb.endTimer()
		over := false
		select {
		case <-box.Done():
			over = true
		case <-sb.nudge:
		case <-idle:
			sb.idleOver()
		case <-end:
			sb.sleepAtEnd()
		}
		stopIdle()
		stopEnd()
		if over {
			sb.boxEnded(box)
			return
		}
	}
}

// idleTimer fires when the idle time is over, as things stand; never for one that
// is in use.
func (sb *Sandbox) idleTimer() (<-chan time.Time, func()) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	limit := seconds(sb.rec.IdleTimeoutSeconds)
	if limit == 0 || sb.users > 0 || sb.rec.Status != api.StatusRunning {
		return nil, func() {}
	}
	t := time.NewTimer(max(0, time.Until(sb.used.Add(limit))))
	return t.C, func() { t.Stop() }
}

// idleOver deletes a sandbox that nobody used, or hibernates a persistent one,
// unless somebody has begun to use it meanwhile.
func (sb *Sandbox) idleOver() {
	sb.mu.Lock()
	limit, persistent := seconds(sb.rec.IdleTimeoutSeconds), sb.rec.Persistent
	over := limit > 0 && sb.users == 0 && time.Since(sb.used) >= limit && sb.rec.Status == api.StatusRunning && !sb.leaving
	sb.leaving = sb.leaving || over && !persistent
	sb.mu.Unlock()
	if !over {
		return
	}
	var err error
	if persistent {
		err = sb.hibernate(sb.svc.ctx, true, 0)
	} else {
		err = sb.end(sb.svc.ctx, api.StatusDeleted, "idle", "nothing used it for "+limit.String())
	}
	if err != nil {
		sb.svc.log.Warn("cannot end an idle sandbox", "id", sb.id, "error", err)
		sb.mu.Lock()
		sb.used = time.Now() // and try again after the same time
		sb.mu.Unlock()
	}
}

// boxEnded records the end of a box that ended by itself, or by its deadline.
func (sb *Sandbox) boxEnded(box host.Session) {
	sb.mu.Lock()
	ours := sb.box == box
	if ours {
		sb.box = nil
	}
	sb.mu.Unlock()
	if !ours {
		return // by us: who did it records it
	}
	reason, detail := box.Ended()
	status := api.StatusFailed
	if reason == "ttl" {
		status = api.StatusDeleted
	}
	sb.cells.drop(sb.svc.ctx)
	sb.setEnded(status, api.Ended{Reason: reason, Detail: clip(detail, 300), At: time.Now()})
	sb.svc.dropOld()
}

// setEnded writes down the end; the first one counts.
func (sb *Sandbox) setEnded(status string, e api.Ended) {
	first := false
	err := sb.change(func(r *record) {
		if first = r.living(); first {
			r.Status, r.Ended, r.HibernatedIn = status, &e, ""
		}
	})
	if !first {
		return
	}
	if err != nil {
		sb.svc.log.Error("cannot record the end of a sandbox", "id", sb.id, "error", err)
	}
	sb.event("ended", "reason", e.Reason, "detail", e.Detail)
	sb.saveLog()
	sb.procs.letGo()
}

// seconds turns a wire number into a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// clip shortens what somebody else said.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
