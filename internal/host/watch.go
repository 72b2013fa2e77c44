package host

import (
	"context"
	"math"
	"runtime"
	"time"

	"github.com/brigdev/brig/internal/driver"
)

// minCPUWait bounds how often a box's processor time is read, and so how far
// over its limit a program may get: this much on every core.
const minCPUWait = 5 * time.Millisecond

// watch waits for the program's end or for the first reason to end it, and then
// destroys the box. cut makes the call to the guest return, should destroying
// the box not have done that.
func (x *execution) watch(ctx context.Context, ended <-chan struct{}, cut func()) {
	why := x.await(ctx, ended)
	if why == stopNone || !x.first.record(why) {
		return
	}
	x.s.discard(ctx)
	cut()
}

// await returns why the program has to be ended, or stopNone when it has ended.
func (x *execution) await(ctx context.Context, ended <-chan struct{}) stop {
	wall := time.NewTimer(x.limits.Timeout)
	defer wall.Stop()
	cpu := time.NewTimer(x.cpuWait(x.before))
	defer cpu.Stop()
	for {
		select {
		case <-ended:
			return stopNone
		case <-ctx.Done():
			return stopCancelled
		case <-wall.C:
			return stopTimeout
		case <-cpu.C:
			wait := x.cpuWait(x.s.usage())
			if wait == 0 {
				return stopCPU
			}
			cpu.Reset(wait)
		}
	}
}

// cpuWait is how long the program takes at least to use up its processor time,
// were it to run on every core from now on; 0 when it has. So an idle program is
// hardly ever looked at, and a busy one more often towards the end.
func (x *execution) cpuWait(now driver.Usage) time.Duration {
	if _, ok := x.s.box.(driver.Usager); !ok || x.limits.CPUTime == 0 {
		return math.MaxInt64
	}
	left := x.limits.CPUTime - (now.CPU - x.before.CPU)
	if left <= 0 {
		return 0
	}
	return max(minCPUWait, left/time.Duration(runtime.NumCPU()))
}
