package host

import (
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// stop is why the host ended a program. The first reason counts.
type stop string

const (
	stopNone      stop = ""          // it ended by itself
	stopTimeout   stop = "timeout"   // the exec's wall clock
	stopTTL       stop = "ttl"       // the sandbox's wall clock
	stopCPU       stop = "cpu_time"  // the processor time that the box used
	stopOutput    stop = "output"    // more output than allowed
	stopCancelled stop = "cancelled" // the caller's context ended
	stopStreams   stop = "streams"   // the caller's reader or writer failed
	stopDestroyed stop = "destroyed" // the sandbox was destroyed
)

// outcome is all that is known when an exec has ended.
type outcome struct {
	Stop stop
	// Report is the guest's word on the program's end; nil when none came, and
	// then Err says what came instead.
	Report *guest.ExitReport
	Err    error
	// Death is how the box ended; nil while it lives.
	Death *driver.Death
	// Usage is what the kernel accounted to this exec; zero where the driver
	// can't tell.
	Usage  driver.Usage
	Limits api.Limits // as they applied to this exec
	TTL    time.Duration
	Wall   time.Duration
	Output int64 // bytes that the program wrote, as far as they were read
}

// diskFullShare is the part of the disk limit from which a failing program is
// taken to have failed for it: a write that does not fit is refused before the
// last block is used.
const diskFullShare = 0.98

// judge decides a program's fate. An error means that the platform failed and
// the program is not to be blamed.
//
// What the host and the kernel saw decides. The guest is believed in two things:
// how the program exited, which is the program's own doing anyway, and, when the
// program failed and nothing better is known, that its peaks had reached the
// limits of processes or disk. A guest that lies gets one bad verdict for another.
func judge(o outcome) (api.ExecResult, error) {
	r := api.ExecResult{
		Truncated: o.Stop == stopOutput,
		Usage:     usageOf(o),
		Evidence:  api.Evidence{OOMKills: o.Usage.OOMKills, ForkRefused: o.Usage.ForkRefused, DiskRefused: o.Usage.DiskRefused},
	}
	switch {
	case o.Stop != stopNone:
		judgeStopped(o, &r)
	case o.Report != nil:
		return r, judgeExited(o, &r)
	default:
		return r, judgeLost(o, &r)
	}
	return r, nil
}

// judgeStopped is for programs that the host ended.
func judgeStopped(o outcome, r *api.ExecResult) {
	switch o.Stop {
	case stopTimeout, stopTTL:
		// A program whose forks are refused often tries for ever.
		if o.Usage.ForkRefused > 0 {
			o.blamePIDs(r)
			return
		}
		limit := o.Limits.Timeout
		if o.Stop == stopTTL {
			limit = o.TTL
		}
		r.blame(api.Timeout, string(o.Stop), limit.Milliseconds(), o.Wall.Milliseconds(), "it ran for %s and the limit is %s", round(o.Wall), limit)
	case stopCPU:
		o.blameCPU(r)
	case stopOutput:
		r.blame2(api.OutputLimit, "output", o.Limits.OutputBytes, o.Output, "it wrote more than %s", api.FormatBytes(o.Limits.OutputBytes))
	case stopCancelled:
		r.Verdict, r.Evidence.Reason = api.Cancelled, "the caller went away"
	case stopStreams:
		r.Verdict, r.Evidence.Reason = api.Cancelled, "the caller's streams failed"
	case stopDestroyed:
		r.Verdict, r.Evidence.Reason = api.Cancelled, "the sandbox was destroyed"
	}
}
