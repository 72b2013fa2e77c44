// Package drivertest is the contract of driver.Driver as a test suite. A
// driver's own test makes the driver and calls Run:
//
//	func TestContract(t *testing.T) {
//		drivertest.Run(t, New(…), drivertest.Options{Root: …, Agent: …, Program: drivertest.Shell})
//	}
package drivertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// patience bounds each test. It is far more than any of them takes: reaching it
// means that something hangs.
const patience = 90 * time.Second

// Options say what the suite needs to know of a driver.
type Options struct {
	// Root and Agent go into every box's spec.
	Root  driver.RootFS
	Agent []string
	// Program makes the argument vector of a program. Shell does it for drivers
	// whose boxes have /bin/sh.
	Program func(Program) []string
	// Snapshots says that boxes can be snapshotted and restored. If not, the
	// suite checks that Create refuses a snapshot with CodeUnsupported.
	Snapshots bool
	// NoBoundary says that boxes share the host's kernel and names: they get no names
	// of their own, and of a program's tree only its process group can be signalled.
	NoBoundary bool
	// Links says that boxes can have a network link. If not, the suite checks that
	// Create refuses one with CodeUnsupported.
	Links bool
	// NoRestore says that boxes of this Root cannot be restored, though the
	// driver's others can.
	NoRestore bool
}

// Program is something to run, portable between drivers. It does what its
// fields say in their order; zero fields do nothing. Files are below the working
// directory, which is /work. Texts are letters and digits.
type Program struct {
	Write, Content  string // make the file Write
	PID             string // write the program's own process id to that file
	Daemon          string // leave a daemon that shares nothing with the program; write its id
	Print, Complain string // to stdout and stderr, without a newline
	Cat             string // print the file Cat; it is an error if there is none
	Alive           string // fail unless the process whose id is in that file runs
	Stop            string // end it
	Flood           bool   // print without end
	Sizes           bool   // print the terminal's rows and columns, read a line, print them again
	Echo            bool   // copy stdin to stdout
	Hang            bool   // wait to be killed
	Exit            int
}

// Shell makes a Program for /bin/sh.
func Shell(p Program) []string {
	var b strings.Builder
	b.WriteString("set -e\n")
	if p.Write != "" {
		fmt.Fprintf(&b, "printf %%s '%s' > '%s'\n", p.Content, p.Write)
	}
	if p.PID != "" {
		fmt.Fprintf(&b, "printf %%s $$ > '%s'\n", p.PID)
	}
	if p.Daemon != "" {
		fmt.Fprintf(&b, "(setsid sh -c 'printf %%s $$ > %[1]s.new; mv %[1]s.new %[1]s; cd /; exec env -i sleep 1000' </dev/null >/dev/null 2>&1 &)\n", p.Daemon)
		fmt.Fprintf(&b, "until [ -e '%s' ]; do sleep 0.01; done\n", p.Daemon)
	}
	fmt.Fprintf(&b, "printf %%s '%s'\nprintf %%s '%s' >&2\n", p.Print, p.Complain)
	if p.Cat != "" {
		fmt.Fprintf(&b, "cat '%s'\n", p.Cat)
	}
	if p.Alive != "" {
		fmt.Fprintf(&b, "pid=$(cat '%s')\ncase $(cat \"/proc/$pid/stat\") in ''|*' Z '*) exit 1;; esac\n", p.Alive)
	}
	if p.Stop != "" {
		fmt.Fprintf(&b, "kill \"$(cat '%s')\"\n", p.Stop)
	}
	if p.Flood {
		b.WriteString("exec dd if=/dev/zero bs=64k 2>/dev/null\n")
	}
	if p.Sizes {
		b.WriteString("stty size\nread x\nstty size\n")
	}
	if p.Echo {
		b.WriteString("cat\n")
	}
	if p.Hang {
		b.WriteString("while :; do sleep 1000; done\n")
	}
	fmt.Fprintf(&b, "exit %d\n", p.Exit)
	return []string{"/bin/sh", "-c", b.String()}
}

// Run checks that d keeps the contract. It leaves d open.
func Run(t *testing.T, d driver.Driver, opts Options) {
	s := &suite{d: d, opts: opts, prefix: fmt.Sprintf("dt-%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:6]))}
	t.Run("First", s.testLifecycle) // what a driver opens once is no leak
	before := count(t)
	for _, tt := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Probe", s.testProbe},
		{"Lifecycle", s.testLifecycle},
		{"Exec", s.testExec},
		{"Stdin", s.testStdin},
		{"Files", s.testFiles},
		{"Ranges", s.testRanges},
		{"Changes", s.testChanges},
		{"Dial", s.testDial},
		{"Watch", s.testWatch},
		{"Programs", s.testPrograms},
		{"Tree", s.testTree},
		{"Terminal", s.testTerminal},
		{"Freeze", s.testFreeze},
		{"Names", s.testNames},
		{"Link", s.testLink},
		{"Reset", s.testReset},
		{"DestroyEndsPrograms", s.testDestroyEndsPrograms},
		{"DestroyWithoutCreate", s.testDestroyWithoutCreate},
		{"DestroyByBareHandle", s.testDestroyByBareHandle},
		{"DestroyAtOnce", s.testDestroyAtOnce},
		{"Handle", s.testHandle},
		{"CancelledCreate", s.testCancelledCreate},
		{"GuestEndsByItself", s.testGuestEndsByItself},
		{"Concurrent", s.testConcurrent},
		{"Usage", s.testUsage},
		{"Pause", s.testPause},
		{"Snapshot", s.testSnapshot},
		{"SnapshotRunning", s.testSnapshotRunning},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Cleanup(func() { s.checkEmpty(t) }) // first in, so it comes last
			tt.run(t)
		})
	}
	before.check(t)
}

type suite struct {
	d      driver.Driver
	opts   Options
	prefix string
	boxes  atomic.Int64
}

// spec is for a box that no other test has.
func (s *suite) spec() driver.BoxSpec {
	return driver.BoxSpec{
		ID:       fmt.Sprintf("%s-%d", s.prefix, s.boxes.Add(1)),
		Hostname: "brig",
		Root:     s.opts.Root,
		Agent:    s.opts.Agent,
		Limits:   api.DefaultLimits(),
		Attached: true,
	}
}

// box is a box whose guest answered.
type box struct {
	driver.Box
	guest *guest.Client
}

// create makes a box, which is destroyed at the end of the test.
func (s *suite) create(t *testing.T, spec driver.BoxSpec) box {
	t.Helper()
	return s.createAs(t, spec, guest.Identity{})
}

func (s *suite) createAs(t *testing.T, spec driver.BoxSpec, id guest.Identity) box {
	t.Helper()
	b, err := s.startAs(patient(t), spec, id)
	if b.Box != nil {
		t.Cleanup(func() { b.end(t) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start makes a box and greets its guest; for goroutines that must not fail the
// test themselves.
func (s *suite) start(ctx context.Context, spec driver.BoxSpec) (box, error) {
	return s.startAs(ctx, spec, guest.Identity{})
}

func (s *suite) startAs(ctx context.Context, spec driver.BoxSpec, id guest.Identity) (box, error) {
	b, err := s.d.Create(ctx, spec)
	if err != nil {
		return box{}, fmt.Errorf("create: %w", err)
	}
	var seed [64]byte
	rand.Read(seed[:])
	c, err := guest.Start(ctx, b.Channel(), seed, time.Now(), id)
	if err != nil {
		return box{Box: b}, fmt.Errorf("the guest does not answer: %w", err)
	}
	return box{b, c}, nil
}

func (b box) end(t *testing.T) {
	t.Helper()
	if err := b.Destroy(patient(t)); err != nil {
		t.Errorf("destroy: %v", err)
	}
	if b.guest != nil {
		b.guest.Close()
	}
}

// patient is a context for one step, also in a test's clean-up.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// leftovers are the boxes of this suite that the driver still sees.
func (s *suite) leftovers(t *testing.T) []string {
	t.Helper()
	all, err := s.d.Leftovers(patient(t))
	if err != nil {
		t.Fatalf("leftovers: %v", err)
	}
	return slices.DeleteFunc(all, func(id string) bool { return !strings.HasPrefix(id, s.prefix) })
}

// checkEmpty fails the test when it left a box.
func (s *suite) checkEmpty(t *testing.T) {
	t.Helper()
	if left := s.leftovers(t); len(left) > 0 {
		t.Errorf("boxes are left: %v", left)
	}
}

// done waits for a box's end.
func done(t *testing.T, b driver.Box) driver.Death {
	t.Helper()
	select {
	case <-b.Done():
	case <-patient(t).Done():
		t.Fatal("Done was not closed")
	}
	return b.Death()
}
