package host

import (
	"errors"
	"fmt"
	"math"
	"strings"
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
	stopDied      stop = "died"      // its box ended by itself; never an exec's own reason
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
	// OwnKernel says that the guest's kernel serves this box alone. Otherwise what
	// the guest sees of processes and disks is the host's, and tells nothing.
	OwnKernel bool
	// Shared says that other programs may have run in the box meanwhile, as they do in
	// a session. Then the guest's peaks are no evidence about this one, and Usage is
	// the box's: of processor time, only the guest knows what was this program's.
	Shared bool
	// Usage is what the kernel accounted to this exec; zero where the driver
	// can't tell.
	Usage  driver.Usage
	Limits api.Limits    // as they applied to this exec
	TTL    time.Duration // of the sandbox
	Wall   time.Duration
	Output int64 // bytes that the program wrote, as far as they were read
}

// judge decides a program's fate. An error means that the platform failed and
// the program is not to be blamed.
//
// What the host and the kernel saw decides. The guest is believed in two things:
// how the program exited, which is the program's own doing anyway, and, when the
// program failed and nothing better is known, that it had reached the limit of
// processes or of disk. A guest that lies gets one bad verdict for another.
func judge(o outcome) (api.ExecResult, error) {
	r := api.ExecResult{
		Truncated: o.Stop == stopOutput,
		Usage:     o.usage(),
		Evidence: api.Evidence{
			OOMKills:    o.Usage.OOMKills,
			ForkRefused: o.Usage.ForkRefused,
			DiskRefused: o.Usage.DiskRefused,
		},
	}
	var err error
	switch {
	case o.Stop != stopNone:
		o.judgeStopped(&r)
	case o.Report != nil:
		err = o.judgeExited(&r)
	default:
		err = o.judgeLost(&r)
	}
	return r, err
}

// judgeStopped is for a program that the host ended.
func (o outcome) judgeStopped(r *api.ExecResult) {
	switch o.Stop {
	case stopTimeout:
		if o.Usage.ForkRefused > 0 { // whose forks are refused may try for ever
			o.blamePIDs(r)
			return
		}
		blame(r, api.Timeout, "timeout", o.Limits.Timeout.Milliseconds(), o.Wall.Milliseconds(), "it ran longer than %s", o.Limits.Timeout)
	case stopTTL:
		blame(r, api.Timeout, "ttl", o.TTL.Milliseconds(), o.Wall.Milliseconds(), "its sandbox lived longer than %s", o.TTL)
	case stopCPU:
		o.blameCPU(r)
	case stopOutput:
		blame(r, api.OutputLimit, "output", o.Limits.OutputBytes, o.Output, "it wrote more than %s", api.FormatBytes(o.Limits.OutputBytes))
	case stopCancelled:
		r.Verdict, r.Evidence.Reason = api.Cancelled, "the caller went away"
	case stopStreams:
		r.Verdict, r.Evidence.Reason = api.Cancelled, "the caller's input or output failed"
	case stopDestroyed:
		r.Verdict, r.Evidence.Reason = api.Cancelled, "the sandbox was destroyed"
	}
}

// judgeExited is for a program whose end the guest reported.
func (o outcome) judgeExited(r *api.ExecResult) error {
	ws := syscall.WaitStatus(o.Report.Status)
	switch {
	case ws.Exited():
		code := ws.ExitStatus()
		r.ExitCode = &code
	case ws.Signaled():
		r.Signal = signalName(ws.Signal())
	default:
		return api.Errorf(api.CodeInternal, "cannot tell how the program ended: because the guest reported the status %#x, which is no end", o.Report.Status)
	}
	switch {
	case ws.Exited() && ws.ExitStatus() == 0:
		r.Verdict = api.OK
	case o.ranOutOfMemory():
		o.blameMemory(r)
	case o.ranOutOfCPU(ws):
		o.blameCPU(r)
	case o.Usage.ForkRefused > 0:
		o.blamePIDs(r)
	case o.Usage.DiskRefused > 0 || o.diskFull():
		o.blameDisk(r)
	case o.peaksTell() && int64(o.Report.TasksPeak) >= int64(o.Limits.PIDs):
		o.blamePIDs(r)
	case ws.Signaled():
		r.Verdict, r.Evidence.Reason = api.Signal, "it was ended by "+r.Signal
	default:
		r.Verdict, r.Evidence.Reason = api.Nonzero, fmt.Sprintf("it exited with %d", *r.ExitCode)
	}
	return nil
}

// judgeLost is for a program whose end nobody reported: its box or the channel
// to it died, or it was never started.
func (o outcome) judgeLost(r *api.ExecResult) error {
	var refused *guest.GuestError
	switch {
	case o.ranOutOfMemory():
		o.blameMemory(r)
		return nil
	case o.Death != nil && o.Death.PIDs:
		o.blamePIDs(r)
		return nil
	case o.Death != nil && o.Err != nil:
		return api.Errorf(api.CodeInternal, "cannot tell how the program ended: because its box died (%s): %w", detailOf(*o.Death), o.Err)
	case errors.As(o.Err, &refused):
		return api.Errorf(api.CodeInternal, "cannot start the program: because %w", refused)
	case o.Err != nil:
		return api.Errorf(api.CodeInternal, "cannot tell how the program ended: because its guest is lost: %w", o.Err)
	}
	return api.Errorf(api.CodeInternal, "cannot tell how the program ended: because its guest said nothing")
}

// detailOf is a driver's word on the end of a box, in one line that is not too
// long: it may hold a log, with what a guest had written into it.
func detailOf(d driver.Death) string {
	if d.Detail == "" {
		return "its driver does not know why"
	}
	return oneLine(d.Detail)
}

func oneLine(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(line[:min(len(line), 500)], "")
}

// ranOutOfMemory: the kernel ended the box or a process in it for memory. When
// that was a child and the program went on to succeed, it was not the end.
func (o outcome) ranOutOfMemory() bool {
	return o.Usage.OOMKills > 0 || o.Death != nil && o.Death.OOM
}

// ranOutOfCPU: RLIMIT_CPU ended the program before the host's own watch did.
func (o outcome) ranOutOfCPU(ws syscall.WaitStatus) bool {
	if o.Limits.CPUTime == 0 || !ws.Signaled() {
		return false
	}
	used := o.Usage.CPU
	if o.Shared {
		used = time.Duration(clamp(o.Report.CPUMicros)) * time.Microsecond
	}
	return ws.Signal() == unix.SIGXCPU || ws.Signal() == unix.SIGKILL && used >= o.Limits.CPUTime
}

// peaksTell says whether the guest's peaks are about this program.
func (o outcome) peaksTell() bool { return o.OwnKernel && !o.Shared }

func (o outcome) diskFull() bool {
	return o.peaksTell() && nearly(o.Report.DiskPeak, o.Report.DiskLimit, o.Limits.DiskBytes) || o.outOfInodes()
}

// outOfInodes: only the guest knows a limit of how many files there may be.
func (o outcome) outOfInodes() bool {
	return o.peaksTell() && nearly(o.Report.InodePeak, o.Report.InodeLimit, 0)
}

// nearly tells whether a peak came within 2 % of the limit: a write that does not
// fit is refused before the last block is used. The guest's own limit counts,
// where it has one, because what it can use is less than what it was given.
func nearly(peak, guestLimit uint64, limit int64) bool {
	if guestLimit > 0 {
		limit = clamp(guestLimit)
	}
	return limit > 0 && clamp(peak) >= limit-limit/50
}

func (o outcome) blameMemory(r *api.ExecResult) {
	blame(r, api.OOM, "memory", o.Limits.MemoryBytes, o.Usage.PeakMemoryBytes, "it needed more memory than %s", api.FormatBytes(o.Limits.MemoryBytes))
}

func (o outcome) blameCPU(r *api.ExecResult) {
	blame(r, api.CPUTime, "cpu_time", o.Limits.CPUTime.Milliseconds(), r.Usage.CPUMS, "it used more processor time than %s", o.Limits.CPUTime)
}

func (o outcome) blamePIDs(r *api.ExecResult) {
	var peak int64
	if o.Report != nil && o.peaksTell() {
		peak = int64(o.Report.TasksPeak)
	}
	blame(r, api.PIDs, "pids", int64(o.Limits.PIDs), peak, "it needed more than %d processes and threads", o.Limits.PIDs)
}

func (o outcome) blameDisk(r *api.ExecResult) {
	if o.outOfInodes() {
		limit := clamp(o.Report.InodeLimit)
		blame(r, api.DiskFull, "inodes", limit, clamp(o.Report.InodePeak), "it made more files than the %d that there may be", limit)
		return
	}
	reason := "it wrote more to its disk than %s"
	if o.peaksTell() && o.Report.DiskPeak > 0 && !o.diskFull() {
		// Refused all the same: at once for its size, or in another place.
		reason = "it asked for more than the %s of its disk, or than /dev/shm holds"
	}
	blame(r, api.DiskFull, "disk", o.Limits.DiskBytes, clamp(o.Report.DiskPeak), reason, api.FormatBytes(o.Limits.DiskBytes))
}

// blame sets the verdict and what it rests on.
func blame(r *api.ExecResult, v api.Verdict, limit string, value, peak int64, reason string, args ...any) {
	r.Verdict = v
	r.Evidence.LimitName, r.Evidence.Limit, r.Evidence.Peak = limit, value, peak
	r.Evidence.Reason = fmt.Sprintf(reason, args...)
}

// usage is what the program cost: the kernel's figures, or else the guest's.
func (o outcome) usage() api.Usage {
	u := api.Usage{
		WallMS:          o.Wall.Milliseconds(),
		CPUMS:           o.Usage.CPU.Milliseconds(),
		PeakMemoryBytes: o.Usage.PeakMemoryBytes,
		OutputBytes:     o.Output,
	}
	if o.Usage.CPU == 0 && o.Report != nil {
		u.CPUMS = clamp(o.Report.CPUMicros / 1000)
	}
	return u
}

// clamp brings a number that a guest chose into the range of int64.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return fmt.Sprintf("SIG%d", int(s))
}
