// Package hosttest is the contract of host.Host as a test suite. An
// implementation's own test says how to make one and which programs its
// sandboxes have, and calls Run:
//
//	func TestContract(t *testing.T) {
//		hosttest.Run(t, hosttest.Subject{New: …, Spec: …, Programs: hosttest.Shell()})
//	}
package hosttest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// patience bounds each test. It is far more than any of them takes: reaching it
// means that something hangs.
const patience = 60 * time.Second

// Subject is an implementation to be tested.
type Subject struct {
	// New makes a fresh host. The suite closes it.
	New func(t *testing.T) host.Host
	// Left lists what hosts that were closed have left behind: boxes, journal
	// records, directories. It is asked after every test; nil skips that.
	Left func(t *testing.T) []string
	// Spec is what all sandboxes are made from: template, isolation, floor.
	Spec api.SandboxSpec
	// Language is one in which "echo TEXT" on a line prints TEXT.
	Language string
	Programs Programs
}

// Programs are argument vectors that do what their fields say. What a host's
// sandboxes can't do, or not limit, is nil, and its tests are skipped.
type Programs struct {
	True      []string // exit 0
	Exit3     []string // exit 3
	KillSelf  []string // die of SIGKILL
	Echo      []string // copy stdin to stdout
	Complain  []string // print "out" to stdout and "err" to stderr, no newlines
	PrintName []string // print the variable NAME and a newline
	Hang      []string // do nothing, for ever
	Spin      []string // use processor time, for ever
	Flood     []string // print the letter x, for ever
	Balloon   []string // take memory, for ever
	ForkBomb  []string // start processes, for ever, and fail when that is refused
	FillDisk  []string // write to a file in /work, for ever, and fail when that is refused
	Leave     []string // write "left" and no newline to /work/left.txt
	Link      []string // make /work/link a symbolic link to /work/left.txt

	// For sessions.
	Daemon   []string // leave a process behind, its id in /work/daemon.pid, and do nothing, for ever
	Alive    []string // exit 0 if that process runs
	Hostname []string // print the host name and a newline
	Sizes    []string // print the terminal's rows and columns, read a line, print them again
	WhoAmI   []string // print the user's number and a newline
	Serve    []string // echo what connections to port 4321 of localhost say, until killed
	Busy     []string // change files in /work/busy 24000 times or more
}

// Shell is for sandboxes that have a shell and the usual tools.
func Shell() Programs {
	return Programs{
		True:      []string{"true"},
		Exit3:     sh("exit 3"),
		KillSelf:  sh("kill -9 $$"),
		Echo:      []string{"cat"},
		Complain:  sh("printf out; printf err >&2"),
		PrintName: sh(`echo "$NAME"`),
		Hang:      []string{"sleep", "1000000"},
		Spin:      sh("while :; do :; done"),
		Flood:     sh("yes x | tr -d '\\n'"),
		Balloon:   []string{"tail", "/dev/zero"},
		ForkBomb:  sh("bomb() { sleep 1000 & bomb || exit 1; }; bomb"),
		FillDisk:  sh("cat /dev/zero > full"),
		Leave:     sh("printf left > left.txt"),
		Link:      sh("ln -s left.txt link"),
		Daemon: sh("(setsid sh -c 'echo $$ > daemon.tmp; mv daemon.tmp daemon.pid; exec sleep 1000000' > daemon.log 2>&1 < /dev/null &)" +
			"; exec sleep 1000000"),
		Alive:    sh(`kill -0 "$(cat daemon.pid)"`),
		Hostname: []string{"cat", "/proc/sys/kernel/hostname"},
		Sizes:    sh("stty size; read -r line; stty size"),
		WhoAmI:   []string{"id", "-u"},
		Busy:     sh("i=0; while [ $i -lt 12000 ]; do echo > busy/a; echo > busy/b; i=$((i+1)); done"),
	}
}

// Fake is for sandboxes of the fake driver.
func Fake() Programs {
	return Programs{
		True:      []string{"true"},
		Exit3:     []string{"exit", "3"},
		KillSelf:  []string{"signal", "9"},
		Echo:      []string{"cat"},
		Complain:  sh("stdout $\"out\"\nstderr $\"err\""),
		PrintName: []string{"env", "NAME"},
		Hang:      []string{"hang"},
		Spin:      []string{"spin"},
		Flood:     []string{"flood"},
		Balloon:   []string{"mem", "1TiB"},
		ForkBomb:  []string{"fork", "1000000"},
		FillDisk:  sh("fill full 1TiB"),
		Leave:     sh("write left.txt left"),
		Link:      sh("symlink left.txt link"),
		Daemon:    sh("daemon daemon.pid\nhang"),
		Alive:     sh("alive daemon.pid"),
		Hostname:  []string{"hostname"},
		Sizes:     []string{"sizes"},
		Serve:     []string{"listen", "4321"},
		Busy:      []string{"churn", "busy/a", "40000"},
	}
}

func sh(script string) []string { return []string{"sh", "-c", script} }

// Run checks that the subject keeps the contract.
func Run(t *testing.T, s Subject) {
	for _, tt := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"Verdicts", (*suite).testVerdicts},
		{"Limits", (*suite).testLimits},
		{"OutputLimit", (*suite).testOutputLimit},
		{"CPUTime", (*suite).testCPUTime},
		{"Streams", (*suite).testStreams},
		{"Environment", (*suite).testEnvironment},
		{"Scripts", (*suite).testScripts},
		{"BadExec", (*suite).testBadExec},
		{"OneAtATime", (*suite).testOneAtATime},
		{"Cancelled", (*suite).testCancelled},
		{"StreamsFail", (*suite).testStreamsFail},
		{"TTL", (*suite).testTTL},
		{"Files", (*suite).testFiles},
		{"Reset", (*suite).testReset},
		{"Destroy", (*suite).testDestroy},
		{"DestroyEndsPrograms", (*suite).testDestroyEndsPrograms},
		{"Info", (*suite).testInfo},
		{"Concurrent", (*suite).testConcurrent},
		{"BadCreate", (*suite).testBadCreate},
		{"Close", (*suite).testClose},
		{"SessionInfo", (*suite).testSessionInfo},
		{"SessionEnvironment", (*suite).testSessionEnvironment},
		{"SessionBadCreate", (*suite).testSessionBadCreate},
		{"SessionConcurrent", (*suite).testSessionConcurrent},
		{"SessionLimits", (*suite).testSessionLimits},
		{"SessionOutputLimit", (*suite).testSessionOutputLimit},
		{"SessionKillsAll", (*suite).testSessionKillsAll},
		{"SessionStreamsFail", (*suite).testSessionStreamsFail},
		{"SessionProcess", (*suite).testSessionProcess},
		{"SessionTerminal", (*suite).testSessionTerminal},
		{"SessionNames", (*suite).testSessionNames},
		{"SessionDeadline", (*suite).testSessionDeadline},
		{"Pause", (*suite).testPause},
		{"PauseAndTime", (*suite).testPauseAndTime},
		{"Snapshot", (*suite).testSnapshot},
		{"SnapshotGenerations", (*suite).testSnapshotGenerations},
		{"SnapshotAmidExecs", (*suite).testSnapshotAmidExecs},
		{"SnapshotAndEnd", (*suite).testSnapshotAndEnd},
		{"Dial", (*suite).testDial},
		{"DialSlow", (*suite).testDialSlow},
		{"DialEnds", (*suite).testDialEnds},
		{"DialSnapshot", (*suite).testDialSnapshot},
		{"Watch", (*suite).testWatch},
		{"WatchBelow", (*suite).testWatchBelow},
		{"WatchOverflow", (*suite).testWatchOverflow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := &suite{Subject: s, host: s.New(t)}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			t.Cleanup(cancel)
			x.ctx = ctx
			t.Cleanup(func() { x.end(t) })
			tt.run(x, t)
		})
	}
}

// suite is one test's own host.
type suite struct {
	Subject
	host host.Host
	ctx  context.Context
}

// end closes the host and looks whether it left anything.
func (s *suite) end(t *testing.T) {
	if err := s.host.Close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
	if s.Left == nil {
		return
	}
	if left := s.Left(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// spec is the subject's, changed.
func (s *suite) spec(change ...func(*api.SandboxSpec)) api.SandboxSpec {
	spec := s.Spec
	for _, c := range change {
		c(&spec)
	}
	return spec
}

// create makes a sandbox that the test's end destroys, if nothing else does.
func (s *suite) create(t *testing.T, change ...func(*api.SandboxSpec)) host.Sandbox {
	t.Helper()
	box, err := s.host.Create(s.ctx, s.spec(change...))
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return box
}

// ran is an exec that has ended.
type ran struct {
	api.ExecResult
	stdout, stderr string
}

// run runs argv, which must not be the platform's failure.
func (s *suite) run(t *testing.T, box host.Sandbox, spec api.ExecSpec, stdin string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	res, err := box.Exec(s.ctx, spec, host.Stdio{Stdin: bytes.NewReader([]byte(stdin)), Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		t.Fatalf("exec %v: %v", spec, err)
	}
	return ran{res, stdout.String(), stderr.String()}
}

func want(t *testing.T, r ran, v api.Verdict) {
	t.Helper()
	if r.Verdict != v {
		t.Errorf("verdict %s (%+v), want %s; stderr %q", r.Verdict, r.Evidence, v, r.stderr)
	}
}

func wantCode(t *testing.T, what string, err error, code api.Code) {
	t.Helper()
	if err == nil || api.CodeOf(err) != code {
		t.Errorf("%s: %v, want the code %s", what, err, code)
		return
	}
	var e *api.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v is no api.Error", what, err)
	}
}

func need(t *testing.T, argv []string, what string) []string {
	t.Helper()
	if argv == nil {
		t.Skipf("the sandboxes of this host can't %s", what)
	}
	return argv
}
