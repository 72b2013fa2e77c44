package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// running is a program that was launched, with what it printed so far.
type running struct {
	*guest.Program
	stdin *io.PipeWriter
	ended chan error // what Wait said

	mu     sync.Mutex   // guards what follows
	out    bytes.Buffer // no more than outKept of it
	total  int          // how much it was
	change *sync.Cond
	done   bool
	report guest.ExitReport
}

// launch starts a program whose input stays open.
func (s *suite) launch(t *testing.T, b box, p Program, change func(*guest.ExecRequest)) *running {
	t.Helper()
	req := s.request(p)
	if change != nil {
		change(&req)
	}
	return follow(t, func(streams guest.Streams) (*guest.Program, error) { return b.guest.Launch(patient(t), req, streams) })
}

func (s *suite) attach(t *testing.T, b box, pid int) *running {
	t.Helper()
	return follow(t, func(streams guest.Streams) (*guest.Program, error) { return b.guest.Attach(patient(t), pid, streams) })
}

func follow(t *testing.T, start func(guest.Streams) (*guest.Program, error)) *running {
	t.Helper()
	in, stdin := io.Pipe()
	r := &running{stdin: stdin, ended: make(chan error, 1)}
	r.change = sync.NewCond(&r.mu)
	p, err := start(guest.Streams{Stdin: in, Stdout: r})
	if err != nil {
		t.Fatal(err)
	}
	r.Program = p
	go func() {
		defer in.Close()
		report, err := p.Wait(patient(t))
		r.mu.Lock()
		r.report, r.done = report, true
		r.change.Broadcast()
		r.mu.Unlock()
		r.ended <- err
	}()
	return r
}

// outKept is how much of a program's output is kept.
const outKept = 64 << 10

// Write implements io.Writer for the program's output.
func (r *running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Write(b[:min(len(b), outKept-r.out.Len())])
	r.total += len(b)
	r.change.Broadcast()
	return len(b), nil
}

// prints waits for text among the program's output.
func (r *running) prints(t *testing.T, text string) {
	t.Helper()
	r.until(t, func() bool { return strings.Contains(r.out.String(), text) })
}

// floods waits for n bytes of output more.
func (r *running) floods(t *testing.T, n int) {
	t.Helper()
	before := -1
	r.until(t, func() bool {
		if before < 0 {
			before = r.total
		}
		return r.total >= before+n
	})
}

func (r *running) until(t *testing.T, enough func() bool) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !enough() {
		if r.done {
			t.Fatalf("it ended with %+v and had printed %q", r.report, r.out.String()[:min(r.out.Len(), 200)])
		}
		r.change.Wait()
	}
}

// end waits for the program's end.
func (r *running) end(t *testing.T) guest.ExitReport {
	t.Helper()
	if err := <-r.ended; err != nil {
		t.Errorf("wait: %v", err)
	}
	r.stdin.Close()
	return r.report
}

// testPrograms runs more programs at once than fit one screen, and asks for other
// things meanwhile.
func (s *suite) testPrograms(t *testing.T) {
	b := s.create(t, s.spec())
	var all []*running
	for i := range 40 {
		r := s.launch(t, b, Program{Print: fmt.Sprintf("program%d", i), Echo: true, Exit: i}, nil)
		all = append(all, r)
	}
	pids := map[int]bool{}
	for i, r := range all {
		r.prints(t, fmt.Sprintf("program%d", i))
		pids[r.PID()] = true
	}
	if len(pids) != len(all) {
		t.Errorf("%d programs have %d process ids", len(all), len(pids))
	}
	if out := s.run(t, b, Program{Print: "beside"}); out.stdout != "beside" {
		t.Errorf("beside them: %+v", out)
	}
	for i, r := range all {
		fmt.Fprintf(r.stdin, "input%d", i)
		r.stdin.Close()
		if report := r.end(t); report.Status != uint32(i)<<8 || r.out.String() != fmt.Sprintf("program%dinput%d", i, i) {
			t.Errorf("program %d: %+v, %q", i, report, r.out.String())
		}
	}
	if _, err := b.guest.Attach(patient(t), 99999, guest.Streams{}); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("attach to an unknown pid: %v", err)
	}
	if _, err := b.guest.Attach(patient(t), all[0].PID(), guest.Streams{}); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("attach to a program that ended: %v", err)
	}
}

// testTree kills a program with everything that it started, and only that.
func (s *suite) testTree(t *testing.T) {
	b := s.create(t, s.spec())
	doomed := s.launch(t, b, Program{Daemon: "doomed", Print: "up", Hang: true}, nil)
	other := s.launch(t, b, Program{Daemon: "other", Print: "up", Hang: true}, nil)
	doomed.prints(t, "up")
	other.prints(t, "up")
	if err := doomed.Signal(patient(t), syscall.SIGKILL, true); err != nil {
		t.Fatal(err)
	}
	if report := doomed.end(t); report.Status != uint32(syscall.SIGKILL) {
		t.Errorf("the program: %+v", report)
	}
	// Without a boundary only the process group is reached.
	if out := s.run(t, b, Program{Alive: "doomed"}); (out.Status == 0) != s.opts.NoBoundary {
		t.Errorf("the killed program's daemon: %+v", out)
	}
	if out := s.run(t, b, Program{Alive: "other"}); out.Status != 0 {
		t.Errorf("the other program's daemon: %+v", out)
	}
	if err := other.Signal(patient(t), syscall.SIGTERM, false); err != nil {
		t.Fatal(err)
	}
	if report := other.end(t); report.Status != uint32(syscall.SIGTERM) {
		t.Errorf("the other program: %+v", report)
	}
}

func terminal(req *guest.ExecRequest) {
	req.Flags |= guest.ExecTerminal
	req.Rows, req.Cols = 24, 80
}

// testTerminal types into a terminal, and changes its size.
func (s *suite) testTerminal(t *testing.T) {
	b := s.create(t, s.spec())
	sizes := s.launch(t, b, Program{Sizes: true}, terminal)
	sizes.prints(t, "24 80\r\n")
	if err := sizes.Resize(patient(t), 33, 101); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(sizes.stdin, "typed\n")
	if report := sizes.end(t); report.Status != 0 || sizes.out.String() != "24 80\r\ntyped\r\n33 101\r\n" {
		t.Errorf("%+v, %q", report, sizes.out.String())
	}
	echo := s.launch(t, b, Program{Print: "up", Echo: true}, terminal)
	echo.prints(t, "up")
	fmt.Fprint(echo.stdin, "hello\n")
	echo.prints(t, "hello\r\nhello\r\n")
	echo.stdin.Close() // which is ^D to a terminal
	if report := echo.end(t); report.Status != 0 {
		t.Errorf("%+v, %q", report, echo.out.String())
	}
}

// testFreeze freezes and thaws a guest amid a flood.
func (s *suite) testFreeze(t *testing.T) {
	b := s.create(t, s.spec())
	flood := s.launch(t, b, Program{Flood: true}, nil)
	for range 5 {
		flood.floods(t, 3*guest.OutputWindow)
		if err := b.guest.Freeze(patient(t)); err != nil {
			t.Fatal(err)
		}
		if err := b.guest.Thaw(patient(t)); err != nil {
			t.Fatal(err)
		}
		if out := s.run(t, b, Program{Print: "on"}); out.stdout != "on" {
			t.Errorf("after a thaw: %+v", out)
		}
	}
	if err := flood.Signal(patient(t), syscall.SIGKILL, true); err != nil {
		t.Fatal(err)
	}
	if report := flood.end(t); report.Status != uint32(syscall.SIGKILL) {
		t.Errorf("%+v", report)
	}
}

// testNames gives a box names of its own.
func (s *suite) testNames(t *testing.T) {
	spec := s.spec()
	spec.Hostname = "brig-7"
	id := guest.Identity{Hostname: spec.Hostname, MachineID: strings.Repeat("0123456789abcdef", 2)}
	b := s.createAs(t, spec, id)
	if !s.opts.NoBoundary { // else the names are the host's
		s.checkNames(t, b, id.Hostname, id.MachineID)
	}
}

func (s *suite) checkNames(t *testing.T, b box, hostname, machineID string) {
	t.Helper()
	for name, want := range map[string]string{"/etc/hostname": hostname, "/etc/machine-id": machineID} {
		var got strings.Builder
		if _, err := b.guest.Get(patient(t), name, 100, &got); err != nil || got.String() != want+"\n" {
			t.Errorf("%s: %q, %v", name, got.String(), err)
		}
	}
}

// checkAttach restores a box from a snapshot in which programs ran.
func (s *suite) checkAttach(t *testing.T, b box, snap driver.Snapshotter) {
	t.Helper()
	keep := func(req *guest.ExecRequest) { req.Flags |= guest.ExecKeep }
	kept := s.launch(t, b, Program{PID: "kept.pid", Print: "up", Echo: true}, keep)
	doomed := s.launch(t, b, Program{PID: "doomed.pid", Print: "up", Echo: true}, keep)
	flood := s.launch(t, b, Program{Flood: true}, nil)
	shell := s.launch(t, b, Program{Print: "up", Echo: true}, terminal)
	shell.prints(t, "up")
	kept.prints(t, "up")
	doomed.prints(t, "up")
	flood.floods(t, 1)
	dir := t.TempDir()
	if err := b.guest.Freeze(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := snap.Snapshot(patient(t), dir, true); err != nil {
		t.Fatal(err)
	}
	if err := b.guest.Thaw(patient(t)); err != nil {
		t.Fatal(err)
	}
	spec := s.spec()
	spec.Snapshot, spec.Hostname = dir, "clone-1"
	clone := s.createAs(t, spec, guest.Identity{Hostname: spec.Hostname, MachineID: strings.Repeat("ab", 16)})
	s.checkNames(t, clone, spec.Hostname, strings.Repeat("ab", 16))
	if out := s.run(t, clone, Program{Stop: "doomed.pid", Print: "beside"}); out.stdout != "beside" {
		t.Errorf("a clone: %+v", out)
	}
	ended := s.attach(t, clone, doomed.PID())
	if report := ended.end(t); report.Status != uint32(syscall.SIGTERM) {
		t.Errorf("a program that ended while nobody listened: %+v", report)
	}
	s.attach(t, clone, flood.PID()).floods(t, 1)
	typed := s.attach(t, clone, shell.PID())
	fmt.Fprint(typed.stdin, "hello\n")
	typed.prints(t, "hello\r\nhello\r\n")
	// The same program goes on in both.
	for name, r := range map[string]*running{"clone": s.attach(t, clone, kept.PID()), "parent": kept} {
		fmt.Fprint(r.stdin, name)
		r.prints(t, name)
		r.stdin.Close()
		if report := r.end(t); report.Status != 0 {
			t.Errorf("%s: %+v, %q", name, report, r.out.String())
		}
	}
	for _, r := range []*running{doomed, flood, shell} {
		if err := r.Signal(patient(t), syscall.SIGKILL, true); err != nil {
			t.Error(err)
		}
		r.end(t)
	}
}
