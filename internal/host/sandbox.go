package host

import (
	"context"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/egress"
	"github.com/brigdev/brig/internal/guest"
	"github.com/brigdev/brig/internal/template"
)

// The states of a sandbox. Orphan is only seen from outside: its owner died.
const (
	stateCreating   = "creating"
	stateRunning    = "running"
	statePaused     = "paused"
	stateDestroying = "destroying"
	stateOrphan     = "orphan"
)

// How long a box whose channel broke may take to be seen dead: the channel ends
// a moment before the driver has reaped the box.
const deathGrace = 2 * time.Second

// sandbox is one box with its limits, its deadline and its place in the journal.
type sandbox struct {
	m        *Manager
	id       string
	driver   driver.Driver
	template template.Template
	limits   api.Limits
	reuse    bool
	session  bool
	hostname string
	env      map[string]string // of every exec of a session
	room     *grant
	box      driver.Box      // nil until it was made
	client   *guest.Client   // nil until it was greeted
	gateway  *egress.Gateway // nil without a network
	gone     chan struct{}   // closed when nothing is left
	nudge    chan struct{}   // holds a token when live has to end the sandbox now
	moved    chan struct{}   // holds a token when the deadline is another
	busy     chan struct{}   // holds a token while an exec or a reset is under way

	ending sync.Mutex // held while the box is destroyed, and while its record changes

	mu     sync.Mutex
	info   api.SandboxInfo
	handle driver.Handle
	warm   string        // the language whose interpreter waits, or ""
	ended  stop          // why end was called first
	detail string        // more about that, for people
	execs  []*firstStop  // of the execs under way
	last   *driver.Usage // as it was just before the box was destroyed
}

var _ Sandbox = (*sandbox)(nil)

// firstStop keeps the first reason why an exec ended; later ones are ignored.
type firstStop struct {
	mu    sync.Mutex
	known bool
	why   stop
}

// record tells whether why is the first reason.
func (f *firstStop) record(why stop) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known {
		return false
	}
	f.known, f.why = true, why
	return true
}

func (f *firstStop) reason() stop {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.why
}

// Info describes the sandbox as it is now.
func (s *sandbox) Info() api.SandboxInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

func (s *sandbox) record() record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return record{Info: s.info, Handle: s.handle}
}

func (s *sandbox) setBox(b driver.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.box, s.handle = b, b.Handle()
}

// Destroy removes the sandbox. A program that runs in it ends as cancelled.
func (s *sandbox) Destroy(ctx context.Context) error { return s.end(ctx, stopDestroyed) }

// discard is Destroy for who cannot do anything about an error: it is tried
// again until it works or the Manager is closed.
func (s *sandbox) discard(ctx context.Context) { s.discardFor(ctx, stopDestroyed, "") }

func (s *sandbox) discardFor(ctx context.Context, why stop, detail string) {
	s.note(detail)
	if s.end(ctx, why) == nil {
		return
	}
	s.m.keep(s) // when it was never handed out, its time is over at once
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// end destroys the box and all that belongs to it, for a reason that an exec
// under way gets as its own. It is safe at any stage of creation, idempotent,
// and has its own deadline, because the end of ctx is often why it is called.
// After an error the sandbox still exists, in the journal too, and end may be
// called again.
func (s *sandbox) end(ctx context.Context, why stop) error {
	s.announce(why)
	s.ending.Lock()
	defer s.ending.Unlock()
	if s.isGone() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
	defer cancel()
	s.lastLook()
	err := s.destroyBox(ctx)
	s.closeGateway()
	if s.client != nil {
		s.client.Close()
	}
	if err == nil {
		err = s.m.journal.remove(s.id)
	}
	if err != nil {
		s.m.log.Error("cannot destroy a sandbox", "id", s.id, "driver", s.driver.Name(), "error", err)
		return api.Errorf(api.CodeInternal, "cannot destroy sandbox %s: because %w", s.id, err).
			WithFix("run brig gc; brig doctor may say what is wrong")
	}
	close(s.gone)
	s.m.forget(s)
	s.room.release()
	s.m.pool.wake()
	return nil
}

// announce makes the sandbox unusable and tells its execs why; those of a box that
// died have their own evidence of that.
func (s *sandbox) announce(why stop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info.State = stateDestroying
	if s.ended == stopNone {
		s.ended = why
	}
	for _, first := range s.execs {
		if why != stopDied {
			first.record(why)
		}
	}
}

// usable tells whether nobody has begun to destroy the sandbox.
func (s *sandbox) usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended == stopNone
}

// destroyBox goes by the handle when there is no box: a driver that failed to
// make one says that nothing is left, and asking again makes sure.
func (s *sandbox) destroyBox(ctx context.Context) error {
	if s.box == nil {
		return s.driver.Destroy(ctx, s.record().Handle)
	}
	err := s.box.Destroy(ctx)
	s.box.Channel().Close()
	return err
}

// lastLook keeps the box's usage for the execs under way and for a session's
// stats, because it can't be asked for afterwards.
func (s *sandbox) lastLook() {
	s.mu.Lock()
	needed := (len(s.execs) > 0 || s.session) && s.last == nil
	s.mu.Unlock()
	if !needed {
		return
	}
	usage := s.usage()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = &usage
}

// usage is what the box has used so far, or had used when it was destroyed; zero
// when the driver can't tell.
func (s *sandbox) usage() driver.Usage {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last != nil {
		return *last
	}
	meter, ok := s.box.(driver.Usager)
	if !ok {
		return driver.Usage{}
	}
	usage, err := meter.Usage()
	if err != nil {
		s.m.log.Warn("cannot read what a sandbox used", "id", s.id, "error", err)
	}
	return usage
}

// awaitDeath says how the box ended, if it does within a moment.
func (s *sandbox) awaitDeath() (driver.Death, bool) {
	late := time.NewTimer(deathGrace)
	defer late.Stop()
	select {
	case <-s.box.Done():
		return s.box.Death(), true
	case <-late.C:
		return driver.Death{}, false
	}
}

// death says how the box ended, if it has.
func (s *sandbox) death() (driver.Death, bool) {
	select {
	case <-s.box.Done():
		return s.box.Death(), true
	default:
		return driver.Death{}, false
	}
}

// lost says how the box ended if it took the connection with it; nil when the
// guest only refused, or when the box lives on without a guest.
func (s *sandbox) lost() *driver.Death {
	if s.client.Err() == nil {
		return nil
	}
	if death, died := s.awaitDeath(); died {
		return &death
	}
	return nil
}

// ready tells why the sandbox cannot be asked for anything now.
func (s *sandbox) ready() error {
	s.mu.Lock()
	ended, paused := s.ended != stopNone, s.info.State == statePaused
	s.mu.Unlock()
	switch {
	case ended:
		return s.errGone()
	case paused:
		return api.Errorf(api.CodeConflict, "cannot use sandbox %s: because it is paused", s.id).
			WithFix("brig sandbox resume %s", s.id)
	}
	return nil
}

func (s *sandbox) isGone() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// errGone is for whoever comes too late.
func (s *sandbox) errGone() error {
	s.mu.Lock()
	why, detail := s.ended, s.detail
	s.mu.Unlock()
	because := "it was destroyed"
	switch why {
	case stopTTL:
		because = "its time was over"
	case stopDied:
		because = "it died: " + detail
	}
	return api.Errorf(api.CodeConflict, "cannot use sandbox %s: because %s", s.id, because).
		WithFix("make a new one")
}
