package host

import (
	"errors"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

func exited(code int) *guest.ExitReport {
	return &guest.ExitReport{Status: uint32(code) << 8}
}

func killedBy(s syscall.Signal) *guest.ExitReport {
	return &guest.ExitReport{Status: uint32(s)}
}

// with changes a report.
func with(r *guest.ExitReport, change func(*guest.ExitReport)) *guest.ExitReport {
	change(r)
	return r
}

// Every rule of docs/verdicts.md, and for each pair of rules that may meet, which
// one wins.
func TestJudge(t *testing.T) {
	full := func(r *guest.ExitReport) { r.DiskPeak, r.DiskLimit = 985, 1000 }
	fullInodes := func(r *guest.ExitReport) { r.InodePeak, r.InodeLimit = 1000, 1000 }
	crowded := func(r *guest.ExitReport) { r.TasksPeak = 128 }
	lost := errors.New("EOF")
	tests := []struct {
		name  string
		o     outcome
		want  api.Verdict
		limit string // evidence
		exit  int    // -1 for none
		sig   string
	}{
		{"exit 0", outcome{Report: exited(0)}, api.OK, "", 0, ""},
		{"exit 3", outcome{Report: exited(3)}, api.Nonzero, "", 3, ""},
		{"exit 255", outcome{Report: exited(255)}, api.Nonzero, "", 255, ""},
		{"kill -9 self", outcome{Report: killedBy(syscall.SIGKILL)}, api.Signal, "", -1, "SIGKILL"},
		{"a crash with core", outcome{Report: killedBy(syscall.SIGSEGV | 0x80)}, api.Signal, "", -1, "SIGSEGV"},
		{"a real-time signal", outcome{Report: killedBy(40)}, api.Signal, "", -1, "SIG40"},

		{"timeout", outcome{Stop: stopTimeout, Err: lost, Death: &driver.Death{Killed: true}}, api.Timeout, "timeout", -1, ""},
		{"timeout, and the exit came in the same moment", outcome{Stop: stopTimeout, Report: exited(0)}, api.Timeout, "timeout", -1, ""},
		{"timeout after a child was killed for memory", outcome{Stop: stopTimeout, Usage: driver.Usage{OOMKills: 1}}, api.Timeout, "timeout", -1, ""},
		{"timeout of a fork bomb", outcome{Stop: stopTimeout, Usage: driver.Usage{ForkRefused: 9}}, api.PIDs, "pids", -1, ""},
		{"the sandbox's ttl", outcome{Stop: stopTTL, Usage: driver.Usage{ForkRefused: 9}}, api.Timeout, "ttl", -1, ""},

		{"cpu watch", outcome{Stop: stopCPU, Err: lost}, api.CPUTime, "cpu_time", -1, ""},
		{"SIGXCPU", outcome{Report: killedBy(syscall.SIGXCPU)}, api.CPUTime, "cpu_time", -1, "SIGXCPU"},
		{"SIGXCPU without a limit is a signal", outcome{Report: killedBy(syscall.SIGXCPU), Limits: api.Limits{PIDs: 128}}, api.Signal, "", -1, "SIGXCPU"},
		{"the hard RLIMIT_CPU", outcome{Report: killedBy(syscall.SIGKILL), Usage: driver.Usage{CPU: 2 * time.Second}}, api.CPUTime, "cpu_time", -1, "SIGKILL"},
		{"SIGKILL below the cpu limit", outcome{Report: killedBy(syscall.SIGKILL), Usage: driver.Usage{CPU: time.Second}}, api.Signal, "", -1, "SIGKILL"},

		{"the hard RLIMIT_CPU in a session", outcome{Shared: true, Report: with(killedBy(syscall.SIGKILL), func(r *guest.ExitReport) { r.CPUMicros = 2_000_000 })}, api.CPUTime, "cpu_time", -1, "SIGKILL"},
		{"SIGKILL beside a busy program", outcome{Shared: true, Report: killedBy(syscall.SIGKILL), Usage: driver.Usage{CPU: 2 * time.Second}}, api.Signal, "", -1, "SIGKILL"},
		{"a failure after another program's full disk", outcome{Shared: true, Report: with(exited(1), full)}, api.Nonzero, "", 1, ""},
		{"a failure after another program's fork bomb", outcome{Shared: true, Report: with(exited(1), crowded)}, api.Nonzero, "", 1, ""},
		{"writes refused in a session", outcome{Shared: true, Report: exited(1), Usage: driver.Usage{DiskRefused: 1}}, api.DiskFull, "disk", 1, ""},

		{"too much output", outcome{Stop: stopOutput, Output: 2000}, api.OutputLimit, "output", -1, ""},

		{"killed for memory", outcome{Report: killedBy(syscall.SIGKILL), Usage: driver.Usage{OOMKills: 1}}, api.OOM, "memory", -1, "SIGKILL"},
		{"a child killed for memory and the program failed", outcome{Report: exited(1), Usage: driver.Usage{OOMKills: 1}}, api.OOM, "memory", 1, ""},
		{"a child killed for memory and the program succeeded", outcome{Report: exited(0), Usage: driver.Usage{OOMKills: 1}}, api.OK, "", 0, ""},
		{"the box killed for memory", outcome{Err: lost, Death: &driver.Death{OOM: true}}, api.OOM, "memory", -1, ""},
		{"the box killed for memory, by its counter", outcome{Err: lost, Death: &driver.Death{}, Usage: driver.Usage{OOMKills: 1}}, api.OOM, "memory", -1, ""},
		{"the box killed for memory after the exit", outcome{Report: exited(137), Death: &driver.Death{OOM: true}}, api.OOM, "memory", 137, ""},
		{"memory goes before processes", outcome{Report: exited(1), Usage: driver.Usage{OOMKills: 1, ForkRefused: 1}}, api.OOM, "memory", 1, ""},

		{"forks refused and failed", outcome{Report: exited(1), Usage: driver.Usage{ForkRefused: 1}}, api.PIDs, "pids", 1, ""},
		{"forks refused and succeeded", outcome{Report: exited(0), Usage: driver.Usage{ForkRefused: 1}}, api.OK, "", 0, ""},
		{"crowded by the guest's word and failed", outcome{Report: with(exited(1), crowded)}, api.PIDs, "pids", 1, ""},
		{"crowded and succeeded", outcome{Report: with(exited(0), crowded)}, api.OK, "", 0, ""},
		{"the box died of its processes", outcome{Err: lost, Death: &driver.Death{PIDs: true}}, api.PIDs, "pids", -1, ""},

		{"disk refused and failed", outcome{Report: exited(1), Usage: driver.Usage{DiskRefused: 1}}, api.DiskFull, "disk", 1, ""},
		{"disk refused and succeeded", outcome{Report: exited(0), Usage: driver.Usage{DiskRefused: 1}}, api.OK, "", 0, ""},
		{"full by the guest's word and failed", outcome{Report: with(exited(1), full)}, api.DiskFull, "disk", 1, ""},
		{"full and succeeded", outcome{Report: with(exited(0), full)}, api.OK, "", 0, ""},
		{"full and killed", outcome{Report: with(killedBy(syscall.SIGBUS), full)}, api.DiskFull, "disk", -1, "SIGBUS"},
		{"full by our limit when the guest names none", outcome{Report: with(exited(1), func(r *guest.ExitReport) { r.DiskPeak = 1 << 20 })}, api.DiskFull, "disk", 1, ""},
		{"not quite full", outcome{Report: with(exited(1), func(r *guest.ExitReport) { r.DiskPeak, r.DiskLimit = 979, 1000 })}, api.Nonzero, "", 1, ""},
		{"out of inodes", outcome{Report: with(exited(1), fullInodes)}, api.DiskFull, "inodes", 1, ""},
		{"disk goes before a crowd that is only the guest's word", outcome{Report: with(with(exited(1), full), crowded)}, api.DiskFull, "disk", 1, ""},
		{"refused forks go before a full disk that is only the guest's word", outcome{Report: with(exited(1), full), Usage: driver.Usage{ForkRefused: 1}}, api.PIDs, "pids", 1, ""},

		{"a shared kernel's processes are not the program's", outcome{Report: with(exited(1), crowded)}, api.Nonzero, "", 1, ""},
		{"a shared kernel's disk is not the program's", outcome{Report: with(exited(1), full)}, api.Nonzero, "", 1, ""},
		{"a shared kernel's inodes are not the program's", outcome{Report: with(exited(1), fullInodes)}, api.Nonzero, "", 1, ""},

		{"cancelled", outcome{Stop: stopCancelled}, api.Cancelled, "", -1, ""},
		{"streams failed", outcome{Stop: stopStreams}, api.Cancelled, "", -1, ""},
		{"destroyed", outcome{Stop: stopDestroyed, Death: &driver.Death{OOM: true}}, api.Cancelled, "", -1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Limits == (api.Limits{}) {
				tt.o.Limits = api.Limits{MemoryBytes: 1 << 30, CPUTime: 2 * time.Second, PIDs: 128, DiskBytes: 1 << 20, OutputBytes: 1000, Timeout: time.Minute}
			}
			tt.o.OwnKernel = !strings.HasPrefix(tt.name, "a shared kernel")
			got, err := judge(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if got.Verdict != tt.want || got.Evidence.LimitName != tt.limit || got.Signal != tt.sig {
				t.Errorf("verdict %s, limit %q, signal %q; want %s, %q, %q", got.Verdict, got.Evidence.LimitName, got.Signal, tt.want, tt.limit, tt.sig)
			}
			exit := -1
			if got.ExitCode != nil {
				exit = *got.ExitCode
			}
			if exit != tt.exit {
				t.Errorf("exit code %d, want %d", exit, tt.exit)
			}
			if (got.Evidence.Reason == "") != (tt.want == api.OK) {
				t.Errorf("reason %q", got.Evidence.Reason)
			}
			if got.Evidence.OOMKills != tt.o.Usage.OOMKills || got.Evidence.ForkRefused != tt.o.Usage.ForkRefused || got.Evidence.DiskRefused != tt.o.Usage.DiskRefused {
				t.Errorf("the counters got lost: %+v", got.Evidence)
			}
		})
	}
}

// TestDiskReason has a refused write while the disk was all but empty.
func TestDiskReason(t *testing.T) {
	for peak, want := range map[uint64]string{4096: "/dev/shm", 1 << 20: "more to its disk"} {
		report := exited(1)
		report.DiskPeak = peak
		got, err := judge(outcome{
			Report: report, OwnKernel: true, Usage: driver.Usage{DiskRefused: 1},
			Limits: api.Limits{MemoryBytes: 1 << 30, PIDs: 128, DiskBytes: 1 << 20, OutputBytes: 1000, Timeout: time.Minute},
		})
		if err != nil || got.Verdict != api.DiskFull || !strings.Contains(got.Evidence.Reason, want) {
			t.Errorf("peak %d: %+v, %v", peak, got, err)
		}
	}
}

// What is nobody's fault but ours is an error, never a verdict.
func TestJudgeInfra(t *testing.T) {
	tests := []struct {
		name string
		o    outcome
		says string
	}{
		{"the box died", outcome{Err: errors.New("EOF"), Death: &driver.Death{Detail: "panic: sentry"}}, "panic: sentry"},
		{"the box died and nobody knows why", outcome{Err: errors.New("EOF"), Death: &driver.Death{}}, "does not know"},
		{"the box was killed by somebody else", outcome{Err: errors.New("EOF"), Death: &driver.Death{Killed: true}}, "died"},
		{"the channel died", outcome{Err: errors.New("the guest hung up")}, "the guest hung up"},
		{"forks refused do not explain a lost guest", outcome{Err: errors.New("EOF"), Usage: driver.Usage{ForkRefused: 3}}, "EOF"},
		{"the guest refused to start it", outcome{Err: &guest.GuestError{Errno: syscall.EAGAIN, Text: `"no"`}}, "cannot start the program"},
		{"the driver's log is clipped", outcome{Err: errors.New("EOF"), Death: &driver.Death{Detail: strings.Repeat("log\n\n", 1000)}}, "(log log log"},
		{"nothing at all", outcome{}, "said nothing"},
		{"a status that is no end", outcome{Report: &guest.ExitReport{Status: 0x137f}}, "0x137f"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := judge(tt.o)
			if err == nil || api.CodeOf(err) != api.CodeInternal || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an internal error that says %q", err, tt.says)
			}
			if err != nil && (len(err.Error()) > 700 || strings.Contains(err.Error(), "\n")) {
				t.Errorf("the text is no short line: %q", err)
			}
			if got.Verdict != "" {
				t.Errorf("verdict %s beside the error", got.Verdict)
			}
		})
	}
}

func TestJudgeUsage(t *testing.T) {
	limits := api.DefaultLimits()
	kernel := driver.Usage{CPU: 1500 * time.Millisecond, PeakMemoryBytes: 42}
	got, err := judge(outcome{Report: &guest.ExitReport{CPUMicros: 7_000_000}, Usage: kernel, Limits: limits, Wall: 3 * time.Second, Output: 5})
	if err != nil {
		t.Fatal(err)
	}
	want := api.Usage{WallMS: 3000, CPUMS: 1500, PeakMemoryBytes: 42, OutputBytes: 5}
	if diff := cmp.Diff(want, got.Usage); diff != "" {
		t.Error(diff)
	}
	// Without the kernel's accounting the guest's counts; a lie may not overflow.
	got, err = judge(outcome{Report: &guest.ExitReport{CPUMicros: math.MaxUint64}, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	if got.Usage.CPUMS <= 0 {
		t.Errorf("cpu_ms %d", got.Usage.CPUMS)
	}
}
