package host_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
)

// However many are asked for at once, so many start at a time, and all are made.
func TestStartsAreBounded(t *testing.T) {
	slow := func(int, driver.BoxSpec) fake.Fault { return fake.Fault{Delay: time.Second} }
	change := func(c *host.Config) { c.CPUs, c.MaxStarts, c.MemoryBytes = 1000, 4, 1<<50 }
	inBubble(t, slow, change, func(t *testing.T, r rig) {
		began := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := r.Create(t.Context(), spec()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != 25*time.Second {
			t.Errorf("100 starts of a second, 4 at a time, took %s", took)
		}
	})
}

// Two sandboxes fit; the third waits until one is destroyed, or until its caller
// gives up, or until the host is closed.
func TestCreateWaitsForRoom(t *testing.T) {
	change := func(c *host.Config) { c.CPUs, c.CPUOvercommit = 1, 2 }
	inBubble(t, nil, change, func(t *testing.T, r rig) {
		first, _ := create(t, r, spec()), create(t, r, spec())
		var third host.Sandbox
		started := func(ctx context.Context) chan error {
			done := make(chan error, 1)
			go func() {
				box, err := r.Create(ctx, spec())
				if err == nil {
					third = box
				}
				done <- err
			}()
			synctest.Wait()
			return done
		}
		ctx, giveUp := context.WithCancelCause(t.Context())
		bored := started(ctx)
		patient := started(t.Context())
		giveUp(errors.New("bored"))
		if err := <-bored; api.CodeOf(err) != api.CodeCancelled {
			t.Errorf("the one that gave up: %v", err)
		}
		first.Destroy(t.Context())
		if err := <-patient; err != nil || third.Info().State != "running" {
			t.Errorf("the patient one: %v", err)
		}
		late := started(t.Context())
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-late; api.CodeOf(err) != api.CodeCancelled {
			t.Errorf("the one that the end met: %v", err)
		}
	})
}

// The deadline is kept by somebody who tries again, when a box resists.
func TestTTLInsists(t *testing.T) {
	stubborn := func(int, driver.BoxSpec) fake.Fault { return fake.Fault{Destroy: errors.New("not yet")} }
	inBubble(t, stubborn, func(*host.Config) {}, func(t *testing.T, r rig) {
		s := spec()
		s.TTL = time.Minute
		create(t, r, s)
		time.Sleep(59 * time.Second)
		if n := len(r.boxes(t)); n != 1 {
			t.Errorf("%d boxes before the deadline", n)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := len(r.boxes(t)) + len(r.List()); n != 0 {
			t.Errorf("%d are left after the deadline", n)
		}
	})
}

// meter counts how often a box is asked for its usage.
type meter struct {
	*fake.Driver
	reads atomic.Int64
}

type meteredBox struct {
	driver.Box
	m *meter
}

func (m *meter) Create(ctx context.Context, spec driver.BoxSpec) (driver.Box, error) {
	box, err := m.Driver.Create(ctx, spec)
	return &meteredBox{box, m}, err
}

func (b *meteredBox) Usage() (driver.Usage, error) {
	b.m.reads.Add(1)
	return b.Box.(driver.Usager).Usage()
}

// The processor time of a program that spins is limited to the millisecond or
// so, and that of one that sleeps is hardly looked at.
func TestCPUWatch(t *testing.T) {
	for script, most := range map[string]int64{"spin": 100, "sleep 10m": 10_000} {
		synctest.Test(t, func(t *testing.T) {
			m := &meter{Driver: newFake(nil)}
			r := newRig(t, m.Driver, func(c *host.Config) { c.Drivers = []driver.Driver{m} })
			defer r.Close(t.Context())
			s := spec()
			s.TTL = 2 * time.Hour
			box := create(t, r, s)
			res, err := box.Exec(t.Context(), api.ExecSpec{Argv: []string{"sh", "-c", script}, CPUTime: time.Minute, Timeout: time.Hour}, host.Stdio{})
			if err != nil {
				t.Fatal(err)
			}
			if script == "spin" && (res.Verdict != api.CPUTime || res.Usage.CPUMS < 60_000 || res.Usage.CPUMS > 60_100) {
				t.Errorf("%s after %d ms of processor time, want a little over 60000", res.Verdict, res.Usage.CPUMS)
			}
			if script != "spin" && res.Verdict != api.OK {
				t.Errorf("a sleeper ended as %s", res.Verdict)
			}
			if n := m.reads.Load(); n > most {
				t.Errorf("%s: its usage was read %d times", script, n)
			}
		})
	}
}
