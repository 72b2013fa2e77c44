package host

import (
	"errors"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/guest"
)

// live ends the sandbox when its time is over, whatever it does and whoever
// still uses it, or when somebody tried to end it and failed. It returns when the
// sandbox is gone, or else leaves it to Close.
func (s *sandbox) live() {
	why := s.awaitEnd()
	if why == stopNone {
		return
	}
	for s.end(s.m.ctx, why) != nil {
		select {
		case <-s.gone:
			return
		case <-s.m.ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// awaitEnd returns why live has to end the sandbox, or stopNone when it is gone
// or left to Close. A session is ended, too, when its box died: nobody may look at
// it for days.
func (s *sandbox) awaitEnd() stop {
	expired := time.NewTimer(time.Until(s.deadline()))
	defer expired.Stop()
	var lost <-chan struct{}
	if s.session && s.client != nil {
		lost = s.client.Done()
	}
	for {
		select {
		case <-s.gone:
			return stopNone
		case <-s.m.ctx.Done():
			return stopNone
		case <-s.nudge:
			return stopTTL
		case <-expired.C:
			return stopTTL
		case <-lost:
			s.noteDeath()
			return stopDied
		case <-s.moved:
			expired.Reset(time.Until(s.deadline()))
		}
	}
}

// deadline is the zero time, long past, when the sandbox was never handed out.
func (s *sandbox) deadline() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info.Deadline
}

// lifetime is how long the sandbox may live in all.
func (s *sandbox) lifetime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info.Deadline.Sub(s.info.CreatedAt)
}

// note keeps more about why the sandbox is about to end, unless it ends already.
func (s *sandbox) note(detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == stopNone && s.detail == "" {
		s.detail = detail
	}
}

// noteDeath notes why the connection to the guest was lost.
func (s *sandbox) noteDeath() {
	death, died := s.awaitDeath()
	err := s.client.Err()
	var lie *guest.ProtocolError
	switch {
	case !died, errors.As(err, &lie):
		s.note(oneLine("its guest is lost: " + err.Error()))
	case death.OOM:
		s.note("it needed more memory than " + api.FormatBytes(s.limits.MemoryBytes))
	default:
		s.note(detailOf(death))
	}
}
