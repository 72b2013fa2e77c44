package drivertest

import (
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// settleTime is how long what is being closed may take to be gone.
const settleTime = 5 * time.Second

// counts is what a process holds that a driver could leak.
type counts struct {
	fds        int
	goroutines int
}

func count(t *testing.T) counts {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return counts{fds: len(fds), goroutines: runtime.NumGoroutine()}
}

// check fails when there is more than before. It is patient, because goroutines
// end a moment after those that wait for them.
func (c counts) check(t *testing.T) {
	t.Helper()
	now := count(t)
	for end := time.Now().Add(settleTime); now.fds > c.fds || now.goroutines > c.goroutines; now = count(t) {
		if time.Now().After(end) {
			t.Fatalf("leaked: %d descriptors and %d goroutines before, %d and %d after\n%s",
				c.fds, c.goroutines, now.fds, now.goroutines, stacks())
		}
		time.Sleep(10 * time.Millisecond)
		runtime.GC() // what only a finalizer closes is late, not lost
	}
}

func stacks() string {
	var b strings.Builder
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.String()
}
