package host_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
)

// inBubble runs a test over a Manager with fake time: synctest.Wait returns when
// everything in the background has come to rest.
func inBubble(t *testing.T, fault func(n int, spec driver.BoxSpec) fake.Fault, change func(*host.Config), test func(t *testing.T, r rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(fault), change)
		test(t, r)
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		if left := r.leftAfterClose(t); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func poolOf(size int) func(*host.Config) {
	return func(c *host.Config) { c.PoolSize, c.CPUs = size, 100 }
}

// create makes a sandbox and lets the pool come to rest.
func create(t *testing.T, r rig, s api.SandboxSpec) host.Sandbox {
	t.Helper()
	box, err := r.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	settle()
	return box
}

// settle lets a pool fill up: it waits until the last claim is a while ago.
func settle() {
	synctest.Wait()
	time.Sleep(time.Second)
	synctest.Wait()
}

// waiting is how many boxes exist that nobody has.
func (r rig) waiting(t *testing.T) int {
	t.Helper()
	return len(r.boxes(t)) - len(r.List())
}

func (r rig) boxes(t *testing.T) []string {
	t.Helper()
	ids, err := r.driver.Leftovers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestPoolServes(t *testing.T) {
	inBubble(t, nil, poolOf(3), func(t *testing.T, r rig) {
		if first := create(t, r, warmSpec()); first.Info().Pooled {
			t.Error("the first came from an empty pool")
		}
		for range 5 {
			if n := r.waiting(t); n != 3 {
				t.Fatalf("%d boxes wait, want 3", n)
			}
			waits := r.boxes(t)
			box := create(t, r, warmSpec())
			info := box.Info()
			if !info.Pooled || !info.Restored || info.State != "running" || !slices.Contains(waits, info.ID) {
				t.Errorf("%+v is not from the pool", info)
			}
			if res, out := run(t, box, api.ExecSpec{}, "mode"); res.Verdict != api.OK || out != "warm\n" {
				t.Errorf("%s, %q", res.Verdict, out)
			}
		}
		list, err := host.ListAll(r.stateDir)
		if err != nil || len(list) != 9 {
			t.Errorf("%d records, %v; want 6 sandboxes and 3 that wait", len(list), err)
		}
	})
}

// A session from the pool has what its own request asked for, and nothing of the
// request that the pool learned its kind from.
func TestPoolServesSessions(t *testing.T) {
	inBubble(t, nil, poolOf(1), func(t *testing.T, r rig) {
		s := sessionSpec()
		s.Name, s.Env, s.Metadata = "first", map[string]string{"FIRST": "1"}, map[string]string{"of": "first"}
		create(t, r, s)
		s.Name, s.Env, s.Metadata = "second", map[string]string{"SECOND": "2"}, map[string]string{"of": "second"}
		box := create(t, r, s)
		info := box.Info()
		if _, ok := box.(host.Session); !ok || !info.Pooled || !info.Session || info.Name != "second" || info.Metadata["of"] != "second" {
			t.Errorf("%T, %+v", box, info)
		}
		if _, out := run(t, box, shell("env FIRST\nenv SECOND\nhostname"), ""); out != "\n2\n"+info.ID+"\n" {
			t.Errorf("inside: %q", out)
		}
		clone := sessionSpec()
		clone.Snapshot = t.TempDir()
		if box, err := r.Create(t.Context(), clone); err == nil && box.Info().Pooled {
			t.Error("a clone came from the pool")
		}
	})
}

// What waits in the pool is of one kind, and whoever asks for another gets what
// was asked for.
func TestPoolKinds(t *testing.T) {
	inBubble(t, nil, poolOf(2), func(t *testing.T, r rig) {
		create(t, r, warmSpec())
		for name, change := range map[string]func(*api.SandboxSpec){
			"cold":     func(s *api.SandboxSpec) { s.Warm = "" },
			"limits":   func(s *api.SandboxSpec) { s.Limits.PIDs = 99 },
			"hostname": func(s *api.SandboxSpec) { s.Hostname = "other" },
			"reuse":    func(s *api.SandboxSpec) { s.Reuse = true },
		} {
			s := warmSpec()
			change(&s)
			if box := create(t, r, s); box.Info().Pooled {
				t.Errorf("%s: %+v came from the pool", name, box.Info())
			}
		}
		if box := create(t, r, warmSpec()); !box.Info().Pooled {
			t.Error("the kind that waited was given up too soon")
		}
		// When one kind is not asked for any more, the other takes its place.
		cold := spec()
		create(t, r, cold)
		time.Sleep(15 * time.Second)
		create(t, r, cold)
		for range 2 {
			if box := create(t, r, cold); !box.Info().Pooled {
				t.Error("the new kind is not kept ready")
			}
		}
	})
}

// A pool never makes anybody wait: its boxes are the first to go.
func TestPoolGivesWay(t *testing.T) {
	small := api.Limits{MemoryBytes: 20 << 20, CPUs: 0.1}
	threeFit := func(c *host.Config) { c.PoolSize, c.MemoryBytes = 2, 300<<20 }
	inBubble(t, nil, threeFit, func(t *testing.T, r rig) {
		s := warmSpec()
		s.Limits = small
		create(t, r, s)
		if n := r.waiting(t); n != 2 {
			t.Fatalf("%d boxes wait, want 2", n)
		}
		other := spec()
		other.Limits = small
		other.Limits.MemoryBytes = 120 << 20 // as much as both of them
		box := create(t, r, other)
		if n := r.waiting(t); n != 0 {
			t.Errorf("%d boxes still wait", n)
		}
		box.Destroy(t.Context())
		create(t, r, s)
		if n := r.waiting(t); n == 0 {
			t.Error("the pool was not filled again when there was room")
		}
	})
}

func TestPoolExpires(t *testing.T) {
	inBubble(t, nil, poolOf(2), func(t *testing.T, r rig) {
		box := create(t, r, warmSpec())
		box.Destroy(t.Context())
		made := r.driver.Creates()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := r.waiting(t); n != 0 {
			t.Errorf("%d boxes still wait after nobody wanted them", n)
		}
		// Each place was refilled a few times at most while the kind was recent.
		if n := r.driver.Creates() - made; n > 4 {
			t.Errorf("%d boxes were made for nobody", n)
		}
	})
}

// A pool whose boxes fail is no reason for a Create to fail, and is given up.
func TestPoolThatFails(t *testing.T) {
	broken := errors.New("the kernel said no")
	for name, fault := range map[string]fake.Fault{
		"creates fail": {Create: broken},
		"guests hang":  {Mute: true},
		"boxes die":    {DieAfter: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var r rig
			var mended atomic.Bool
			// Only what is made for the pool fails: its record says that it is.
			faults := func(_ int, spec driver.BoxSpec) fake.Fault {
				list, err := host.ListAll(r.stateDir)
				pooled := slices.ContainsFunc(list, func(i api.SandboxInfo) bool { return i.ID == spec.ID && i.Pooled })
				if err != nil || !pooled || mended.Load() {
					return fake.Fault{}
				}
				return fault
			}
			inBubble(t, faults, poolOf(2), func(t *testing.T, made rig) {
				r = made
				for range 4 {
					box := create(t, r, warmSpec())
					if box.Info().Pooled {
						t.Error("a broken box was handed out")
					}
					time.Sleep(time.Second) // boxes that die have died
				}
				tries := r.driver.Creates()
				create(t, r, warmSpec())
				if n := r.driver.Creates() - tries; n != 1 {
					t.Errorf("%d boxes were made for one sandbox: the pool goes on trying", n)
				}
				mended.Store(true)
				time.Sleep(time.Hour)
				create(t, r, warmSpec())
				if box := create(t, r, warmSpec()); !box.Info().Pooled {
					t.Error("the pool did not come back when the fault was over")
				}
			})
		})
	}
}
