package bench

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// Item is the benchmark's item as a batch wants it.
func Item(i int) api.Item {
	return api.Item{CustomID: fmt.Sprintf("bench-%06d", i), Language: "python", Code: itemCode, Input: json.RawMessage(itemInput)}
}

// NewMeter tells, after cmd has ended, how many milliseconds of processor time
// it and all processes below it took, those that nobody waited for included as
// far as the kernel charges them to a waited parent.
func NewMeter(cmd *exec.Cmd) func() float64 {
	var before unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &before)
	return func() float64 {
		var after unix.Rusage
		if cmd.ProcessState == nil || unix.Getrusage(unix.RUSAGE_CHILDREN, &after) != nil {
			return 0
		}
		used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		return ms(time.Duration(used))
	}
}
