package host

import (
	"sync/atomic"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// session is a sandbox that lives until its deadline and runs several programs at
// once. They share its limits: when the kernel ends the box itself because they
// needed too much memory, all of them are oom and the sandbox is gone.
type session struct {
	*sandbox
	turn chan struct{} // holds a token during Pause, Resume or Snapshot
	// naps is odd while the guest may stand still, in a pause or for a snapshot. One
	// that stands still is not to blame for its silence.
	naps atomic.Uint64
}

var _ Session = (*session)(nil)

func newSession(s *sandbox) *session {
	return &session{sandbox: s, turn: make(chan struct{}, 1)}
}

// SetDeadline moves the deadline, to at most seven days from now. What a sandbox
// does never moves it.
func (s *session) SetDeadline(t time.Time) error {
	left := time.Until(t)
	if left <= 0 || left > maxSessionTTL {
		return api.Errorf(api.CodeInvalid, "cannot set the deadline of sandbox %s: because it is to be within %s from now", s.id, maxSessionTTL).
			WithFix("choose a later time than now, or destroy the sandbox")
	}
	err := s.change(func(info *api.SandboxInfo) {
		info.Deadline = time.Now().Add(left) // which no change of the wall clock moves
	})
	if err != nil {
		return err
	}
	select {
	case s.moved <- struct{}{}:
	default: // live has yet to look
	}
	return nil
}

// change changes what the sandbox says of itself, in the journal too. When that
// cannot be written, nothing was changed.
func (s *sandbox) change(f func(info *api.SandboxInfo)) error {
	s.ending.Lock() // nothing is written of a sandbox whose record was removed
	defer s.ending.Unlock()
	s.mu.Lock()
	r := record{Info: s.info, Handle: s.handle}
	usable := s.ended == stopNone
	s.mu.Unlock()
	if !usable {
		return s.errGone()
	}
	f(&r.Info)
	if err := s.m.journal.write(r); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != stopNone {
		r.Info.State = stateDestroying
	}
	s.info = r.Info
	return nil
}

// Stats is what the sandbox uses now, or used when it ended.
func (s *session) Stats() api.SandboxStats {
	u := s.usage()
	s.mu.Lock()
	programs := len(s.execs)
	s.mu.Unlock()
	return api.SandboxStats{
		CPUMS: u.CPU.Milliseconds(), MemoryBytes: u.MemoryBytes, PeakMemoryBytes: u.PeakMemoryBytes,
		MemoryLimit: s.limits.MemoryBytes, Processes: programs,
	}
}

// Done is closed when nothing of the sandbox is left.
func (s *session) Done() <-chan struct{} { return s.gone }

// Ended says why the sandbox has ended: "ttl", "destroyed" or "died", with a
// detail for people. Both are empty while it lives.
func (s *session) Ended() (reason, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.ended), s.detail
}

// SnapshotKey is what a restore depends on besides root filesystem and limits; ""
// when the driver cannot restore.
func (s *session) SnapshotKey() string {
	if k, ok := s.driver.(driver.SnapshotKeyer); ok {
		return k.SnapshotKey()
	}
	return ""
}
