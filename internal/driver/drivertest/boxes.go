package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

func (s *suite) testProbe(t *testing.T) {
	p := s.d.Probe(patient(t))
	switch {
	case !p.OK:
		t.Errorf("the driver says that it does not work here: %s", p.Reason)
	case p.Driver != s.d.Name() || p.Rung != s.d.Rung():
		t.Errorf("the probe is of %s/%s and the driver is %s/%s", p.Driver, p.Rung, s.d.Name(), s.d.Rung())
	case p.Took <= 0:
		t.Error("the probe took no time: did a guest run?")
	case p.Snapshots != s.opts.Snapshots:
		t.Errorf("the probe says snapshots: %v", p.Snapshots)
	}
}

// testLifecycle is one box from nothing to nothing.
func (s *suite) testLifecycle(t *testing.T) {
	spec := s.spec()
	b, err := s.start(patient(t), spec)
	if err != nil {
		if b.Box != nil {
			b.end(t)
		}
		t.Fatal(err)
	}
	if h := b.Handle(); h.ID != spec.ID || h.Driver != s.d.Name() || h.Version == 0 {
		t.Errorf("handle %+v", h)
	}
	if left := s.leftovers(t); !slices.Equal(left, []string{spec.ID}) {
		t.Errorf("a running box is not listed: %v", left)
	}
	select {
	case <-b.Done():
		t.Errorf("a running box is done: %+v", b.Death())
	default:
	}
	b.end(t)
	if death := done(t, b); !death.Killed || death.OOM || death.PIDs {
		t.Errorf("death %+v", death)
	}
	if left := s.leftovers(t); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if err := b.Destroy(patient(t)); err != nil {
		t.Errorf("the second Destroy: %v", err)
	}
	if _, err := s.d.Find(patient(t), b.Handle()); !errors.Is(err, driver.ErrGone) && api.CodeOf(err) != api.CodeUnsupported {
		t.Errorf("found a box that was destroyed: %v", err)
	}
}

func (s *suite) testDestroyWithoutCreate(t *testing.T) {
	h := driver.Handle{Driver: s.d.Name(), Version: 1, ID: s.spec().ID}
	for range 2 {
		if err := s.d.Destroy(patient(t), h); err != nil {
			t.Errorf("a box that never was: %v", err)
		}
	}
}

// testDestroyByBareHandle is what happens after a crash: only the id is known.
func (s *suite) testDestroyByBareHandle(t *testing.T) {
	b := s.create(t, s.spec())
	if err := s.d.Destroy(patient(t), driver.Handle{ID: b.Handle().ID}); err != nil {
		t.Fatal(err)
	}
	if left := s.leftovers(t); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	done(t, b)
}

func (s *suite) testDestroyAtOnce(t *testing.T) {
	b := s.create(t, s.spec())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := b.Destroy(patient(t)); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if err := s.d.Destroy(patient(t), b.Handle()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// testHandle destroys a box by a handle that was in a file.
func (s *suite) testHandle(t *testing.T) {
	b := s.create(t, s.spec())
	data, err := json.Marshal(b.Handle())
	if err != nil {
		t.Fatal(err)
	}
	var h driver.Handle
	if err := json.Unmarshal(data, &h); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(h); string(again) != string(data) {
		t.Errorf("the handle changed in JSON: %s became %s", data, again)
	}
	if err := s.d.Destroy(patient(t), h); err != nil {
		t.Error(err)
	}
	done(t, b)
}

// testCancelledCreate cancels at many moments; whatever Create was doing,
// nothing may be left of it.
func (s *suite) testCancelledCreate(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(context.Background(), after)
		b, err := s.d.Create(ctx, s.spec())
		cancel()
		switch {
		case err == nil && after == 0:
			t.Error("Create worked with a context that had ended")
			fallthrough
		case err == nil:
			box{Box: b}.end(t)
			b.Channel().Close()
		}
		s.checkEmpty(t)
	}
}

// testGuestEndsByItself closes the channel, upon which an agent ends.
func (s *suite) testGuestEndsByItself(t *testing.T) {
	b := s.create(t, s.spec())
	b.guest.Close()
	if death := done(t, b); death.Killed {
		t.Errorf("death %+v of a box that nobody killed", death)
	}
}

func (s *suite) testDestroyEndsPrograms(t *testing.T) {
	b := s.create(t, s.spec())
	talks, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := b.guest.Exec(patient(t), s.request(Program{Print: "on", Hang: true}), guest.Streams{Stdout: onWrite(func() { close(talks) })})
		ended <- err
	}()
	select {
	case <-talks:
	case err := <-ended:
		t.Fatalf("the program did not run: %v", err)
	}
	if err := b.Destroy(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("a program in a destroyed box ended properly")
	}
	if death := done(t, b); !death.Killed {
		t.Errorf("death %+v", death)
	}
}

// testConcurrent makes boxes at the same time, each with a file of the same
// name, which must hold what its own box wrote.
func (s *suite) testConcurrent(t *testing.T) {
	var all sync.WaitGroup
	for _, text := range []string{"zero", "one", "two", "three", "four", "five", "six", "seven"} {
		spec := s.spec()
		all.Go(func() {
			b, err := s.start(patient(t), spec)
			if b.Box != nil {
				defer b.end(t)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if out := s.run(t, b, Program{Write: "same", Content: text}); out.Status != 0 {
				t.Errorf("write: %+v", out)
			}
			if out := s.run(t, b, Program{Cat: "same"}); out.stdout != text {
				t.Errorf("the box that wrote %q reads %q", text, out.stdout)
			}
		})
	}
	all.Wait()
	// What one box wrote is not in the next.
	if out := s.run(t, s.create(t, s.spec()), Program{Cat: "same"}); out.Status == 0 {
		t.Errorf("a new box has an old one's file: %q", out.stdout)
	}
}
