package httpapi

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brigdev/brig/api"
)

// flood has owner ask for n turns and tells of each that it got.
func flood(t *testing.T, turns *turns, owner string, n int) (got chan func()) {
	got = make(chan func(), n)
	for range n {
		go func() {
			release, err := turns.take(t.Context(), owner, turnRuns)
			if err != nil {
				return // the test has ended
			}
			got <- release
		}()
	}
	synctest.Wait()
	return got
}

// TestTurns: an owner that is alone is not held back; when two compete, each has its
// share, and one that floods waits for itself only.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(4)
		alone := flood(t, turns, "ann", 100)
		if len(alone) != 100 {
			t.Errorf("an owner that is alone got %d of 100 turns", len(alone))
		}
		for range 100 {
			(<-alone)()
		}
		quiet, err := turns.take(t.Context(), "bob", turnRuns)
		if err != nil {
			t.Fatal(err)
		}
		many := flood(t, turns, "ann", 100)
		if len(many) != 2 || turns.waiting() != 98 {
			t.Errorf("the one that floods got %d turns, %d wait", len(many), turns.waiting())
		}
		quiet()
		if again, err := turns.take(t.Context(), "bob", turnRuns); err != nil {
			t.Error(err)
		} else {
			again()
		}
		if look, err := turns.take(t.Context(), "ann", 0); err != nil { // does not wait behind work
			t.Error(err)
		} else {
			look()
		}
		(<-many)()
		synctest.Wait()
		if len(many) != 2 {
			t.Errorf("after one was given back %d have turns", len(many))
		}
		time.Sleep(turnRuns) // work that goes on counts no more
		synctest.Wait()
		if len(many) != 4 {
			t.Errorf("after the time of a turn %d have turns", len(many))
		}
		time.Sleep(turnFresh + turnRuns)
		synctest.Wait()
		if turns.waiting() != 0 {
			t.Errorf("%d still wait although nobody competes", turns.waiting())
		}
	})
}

// TestTurnsDeadline: waiting has an end, and what was not given is not kept.
func TestTurnsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		for range maxOpen {
			if _, err := turns.take(t.Context(), "ann", 0); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		_, err := turns.take(t.Context(), "ann", 0)
		if api.CodeOf(err) != api.CodeExhausted || time.Since(began) != turnWithin {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := turns.take(ctx, "ann", 0); api.CodeOf(err) != api.CodeCancelled {
			t.Errorf("a caller that has gone: %v", err)
		}
		if n := turns.waiting(); n != 0 {
			t.Errorf("%d wait", n)
		}
		release, err := turns.take(t.Context(), "bob", turnRuns)
		if err != nil {
			t.Fatalf("another owner: %v", err)
		}
		release()
	})
}

// TestTurnsForget: owners that are gone take no memory.
func TestTurnsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		for _, owner := range []string{"a", "b", "c"} {
			release, err := turns.take(t.Context(), owner, turnRuns)
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
		time.Sleep(2 * turnFresh)
		if _, err := turns.take(t.Context(), "d", turnRuns); err != nil {
			t.Fatal(err)
		}
		if len(turns.owners) != 1 {
			t.Errorf("%d owners are remembered", len(turns.owners))
		}
	})
}
