package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/brigdev/brig/api"
)

func mem(n int64) demand { return demand{bytes: n, milliCPU: 1} }

func testAdmission(bytes int64) *admission {
	return newAdmission(demand{bytes: bytes, milliCPU: 1000}, func() {})
}

func TestAdmissionRefusesWhatNeverFits(t *testing.T) {
	a := testAdmission(100)
	for _, need := range []demand{{bytes: 101}, {milliCPU: 1001}} {
		if _, err := a.acquire(t.Context(), "", need); api.CodeOf(err) != api.CodeExhausted || api.FixOf(err) == "" {
			t.Errorf("%+v: %v, want CodeExhausted with a fix", need, err)
		}
	}
	g, err := a.acquire(t.Context(), "", demand{bytes: 100, milliCPU: 1000})
	if err != nil {
		t.Fatal(err)
	}
	g.release()
	g.release()
	if a.used != (demand{}) {
		t.Errorf("%+v is still taken after a release", a.used)
	}
}

// queue starts a request and returns when it waits.
func queue(t *testing.T, a *admission, trust string, need demand, admitted func()) (cancel func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		if _, err := a.acquire(ctx, trust, need); err == nil {
			admitted()
		}
	}()
	synctest.Wait()
	return stop
}

func TestAdmissionServesTrustDomainsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testAdmission(10)
		running, err := a.acquire(t.Context(), "first", mem(10))
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for _, who := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
			queue(t, a, who[:1], mem(10), func() { order = append(order, who) })
		}
		running.release()
		for range 5 {
			synctest.Wait()
			a.put(mem(10))
		}
		synctest.Wait()
		if want := []string{"a1", "b1", "c1", "a2", "b2", "a3"}; !slices.Equal(order, want) {
			t.Errorf("admitted %v, want %v", order, want)
		}
	})
}

func TestAdmissionIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testAdmission(10)
		running, err := a.acquire(t.Context(), "", mem(5))
		if err != nil {
			t.Fatal(err)
		}
		var large, small bool
		queue(t, a, "", mem(10), func() { large = true })
		queue(t, a, "other", mem(1), func() { small = true })
		if large || small {
			t.Fatalf("large %v, small %v: admitted before their turn", large, small)
		}
		if a.tryAcquire(mem(1)) != nil {
			t.Error("a low-priority request went past those that wait")
		}
		running.release()
		synctest.Wait()
		if !large || small {
			t.Errorf("large %v, small %v; want the large one first", large, small)
		}
		a.put(mem(10))
		synctest.Wait()
		if !small {
			t.Error("the small one was forgotten")
		}
	})
}

func TestAdmissionCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testAdmission(10)
		running, err := a.acquire(t.Context(), "", mem(5))
		if err != nil {
			t.Fatal(err)
		}
		var small bool
		giveUp := queue(t, a, "", mem(10), func() { t.Error("admitted after it gave up") })
		queue(t, a, "other", mem(5), func() { small = true })
		giveUp()
		synctest.Wait()
		if !small {
			t.Error("the one behind a request that gave up still waits")
		}
		a.put(mem(5))
		running.release()
		if a.used != (demand{}) || len(a.turns)+len(a.queues) > 0 {
			t.Errorf("left: used %+v, turns %v, queues %v", a.used, a.turns, a.queues)
		}

		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the user is bored"))
		_, err = a.acquire(ctx, "", mem(1))
		if api.CodeOf(err) != api.CodeCancelled {
			t.Errorf("cancelled context: %v", err)
		}
	})
}

func TestAdmissionTellsWhoCanSpareRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a *admission
		spare := make(chan *grant, 2)
		a = newAdmission(demand{bytes: 10, milliCPU: 1000}, func() {
			select {
			case g := <-spare:
				g.release()
			default:
			}
		})
		spare <- a.tryAcquire(mem(5))
		spare <- a.tryAcquire(mem(5))
		if _, err := a.acquire(t.Context(), "", mem(10)); err != nil {
			t.Fatal(err)
		}
		if len(spare) != 0 {
			t.Error("room was spared and not taken")
		}
	})
}

// Many domains, cancellations and sizes at once: never over the budget, and
// nothing left at the end. For the race detector, mostly.
func TestAdmissionUnderLoad(t *testing.T) {
	a := testAdmission(100)
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 0 {
				go cancel()
			}
			defer cancel()
			g, err := a.acquire(ctx, fmt.Sprint(i%7), mem(int64(i%50)+1))
			if err != nil {
				return
			}
			a.mu.Lock()
			if !a.used.within(a.total) {
				t.Errorf("over the budget: %+v", a.used)
			}
			a.mu.Unlock()
			g.release()
		})
	}
	wg.Wait()
	if a.used != (demand{}) || len(a.turns)+len(a.queues) > 0 {
		t.Errorf("left: used %+v, turns %v, queues %v", a.used, a.turns, a.queues)
	}
}
