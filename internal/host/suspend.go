package host

import (
	"context"
	"errors"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// Pause stops everything inside until Resume. The deadline goes on, and so do the
// timeouts of programs: one that is over then is killed at Resume. Pausing what is
// paused does nothing.
func (s *session) Pause(ctx context.Context) error {
	leave, err := s.take(ctx, "pause it")
	if err != nil {
		return err
	}
	defer leave()
	pauser, ok := s.box.(driver.Pauser)
	if !ok {
		return s.errUnsupported("pause it")
	}
	if s.Info().State == statePaused {
		return nil
	}
	if err := s.setState(statePaused); err != nil { // first, so that nothing new is begun
		return err
	}
	s.naps.Add(1)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), pauseTimeout)
	defer cancel()
	if err = pauser.Pause(within); err == nil {
		return nil
	}
	if failed := s.wake(ctx, pauser); failed != nil {
		s.m.log.Warn("a sandbox that could not be paused does not go on", "id", s.id, "error", failed)
	}
	return s.boxError(ctx, "pause it", err)
}

// Resume lets a paused sandbox go on. Resuming what runs does nothing.
func (s *session) Resume(ctx context.Context) error {
	leave, err := s.take(ctx, "resume it")
	if err != nil {
		return err
	}
	defer leave()
	pauser, ok := s.box.(driver.Pauser)
	if !ok || s.Info().State != statePaused {
		return nil
	}
	return s.wake(ctx, pauser)
}

// wake ends a pause. When it fails, the sandbox is still paused.
func (s *session) wake(ctx context.Context, pauser driver.Pauser) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), pauseTimeout)
	defer cancel()
	if err := pauser.Resume(within); err != nil {
		return s.boxError(ctx, "resume it", err)
	}
	s.naps.Add(1)
	return s.setState(stateRunning)
}

func (s *session) setState(state string) error {
	return s.change(func(info *api.SandboxInfo) { info.State = state })
}

// Snapshot keeps this moment in dir, which exists and is empty, and the sandbox
// goes on: also when ctx ends or the saving fails. Programs may run; their output
// waits meanwhile. It returns for how long the sandbox stood still, from the
// agent's last word before to its first one after. What is in dir after an error
// is worthless.
func (s *session) Snapshot(ctx context.Context, dir string) (paused time.Duration, err error) {
	leave, err := s.take(ctx, "snapshot it")
	if err != nil {
		return 0, err
	}
	defer leave()
	if err := s.ready(); err != nil {
		return 0, err
	}
	keeper, ok := s.box.(driver.Snapshotter)
	if !ok || s.SnapshotKey() == "" {
		return 0, s.errUnsupported("snapshot it")
	}
	if p, ok := s.box.(driver.SnapshotPreparer); ok {
		if err := p.PrepareSnapshot(ctx, dir); err != nil {
			return 0, s.boxError(ctx, "snapshot it", err)
		}
	}
	s.naps.Add(1)
	began := time.Now()
	defer func() {
		if failed := s.thaw(ctx); err == nil {
			err = failed
		}
		paused = time.Since(began)
		s.naps.Add(1)
	}()
	if err := s.freeze(ctx); err != nil {
		return 0, s.boxError(ctx, "snapshot it", err)
	}
	// A driver cannot be called back: the end of ctx is looked at afterwards.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), snapshotTimeout)
	defer cancel()
	if err := keeper.Snapshot(within, dir, true); err != nil {
		return 0, s.boxError(ctx, "snapshot it", err)
	}
	if ctx.Err() != nil {
		return 0, cancelled(ctx, "snapshot sandbox "+s.id)
	}
	return 0, nil
}

func (s *session) freeze(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, freezeTimeout)
	defer cancel()
	return s.client.Freeze(within)
}

// thaw ends a freeze, also one that did not come to be. A guest that does not
// answer to it is of no more use.
func (s *session) thaw(ctx context.Context) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), freezeTimeout)
	defer cancel()
	err := s.client.Thaw(within)
	if err == nil || s.client.Err() != nil { // a lost guest is seen by live
		return s.boxError(ctx, "go on after its snapshot", err)
	}
	err = s.boxError(ctx, "go on after its snapshot", err)
	s.discardFor(ctx, stopDied, "its guest did not go on after a snapshot")
	return err
}

// take waits for the turn to pause, resume or snapshot the sandbox.
func (s *session) take(ctx context.Context, doing string) (leave func(), err error) {
	select {
	case s.turn <- struct{}{}:
	case <-s.gone:
		return nil, s.errGone()
	case <-ctx.Done():
		return nil, cancelled(ctx, doing)
	}
	if !s.usable() {
		<-s.turn
		return nil, s.errGone()
	}
	return func() { <-s.turn }, nil
}

// boxError classes what a driver or the guest said.
func (s *session) boxError(ctx context.Context, doing string, err error) error {
	var classed *api.Error
	switch {
	case err == nil:
		return nil
	case !s.usable():
		return s.errGone()
	case ctx.Err() != nil:
		return cancelled(ctx, doing)
	case errors.As(err, &classed) && classed.Code != api.CodeCancelled:
		return err
	}
	return api.Errorf(api.CodeInternal, "cannot %s, sandbox %s: because %w", doing, s.id, err)
}

func (s *session) errUnsupported(doing string) error {
	return api.Errorf(api.CodeUnsupported, "cannot %s, sandbox %s: because isolation %s has no such thing", doing, s.id, s.driver.Rung()).
		WithFix("use another isolation; brig doctor lists those of this host")
}
