package gvisor

import (
	"os"
	"strconv"
)

// timerSlack is how late a timer of this process and of its boxes may be, in
// nanoseconds; Linux has 50 µs. The Go runtime's watchdog sleeps for 20 µs at a
// time while a program is busy, in Brig and in every sentry, and each waking costs
// more than it sleeps: with this slack a batch takes a tenth less processor time.
// A guest's own sleeps are that much less exact.
const timerSlack = 500_000

// relaxTimers sets the slack of all threads there are; later threads, and the
// processes that they start, have it from them. A kernel that refuses has its own.
func relaxTimers() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", []byte(strconv.Itoa(timerSlack)), 0)
	}
}
