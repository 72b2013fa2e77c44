package guest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
)

var started = Fields(nil).U32(7)

func TestExec(t *testing.T) {
	want := ExitReport{Status: 3 << 8, CPUMicros: 1, DiskPeak: 2, DiskLimit: 3, InodePeak: 4, InodeLimit: 5, TasksPeak: 6}
	c, p := newPeer(t, func(p *peer, f Frame) {
		if f.Type == TypeExec {
			p.send(TypeStarted, f.Stream, started)
			p.send(TypeStdout, f.Stream, []byte("out\xff"))
			p.send(TypeStderr, f.Stream, []byte("err"))
			p.send(TypeExit, f.Stream, want.Encode())
		}
	})
	var out, errs bytes.Buffer
	req := ExecRequest{Flags: ExecAs, UID: 33, GID: 34, Cwd: "/work", CPUSeconds: 2, NProc: 3, NoFile: 4, Argv: []string{"a", ""}, Rows: 24, Cols: 80, Env: map[string]string{"K": "V=W", "E": ""}}
	before := p.wrote()
	report, err := c.Exec(t.Context(), req, Streams{Stdin: strings.NewReader("in"), Stdout: &out, Stderr: &errs})
	if err != nil || report != want || out.String() != "out\xff" || errs.String() != "err" {
		t.Errorf("%+v, %q, %q, %v", report, out.String(), errs.String(), err)
	}
	if n := p.wrote() - before; n != 1 {
		t.Errorf("request and input took %d writes", n)
	}
	got, err := DecodeExecRequest(p.frames()[1].Payload)
	if err != nil || string(got.Encode()) != string(req.Encode()) {
		t.Errorf("the request arrived as %+v, %v", got, err)
	}
}

func TestExecWarmStartEndsWhenStarted(t *testing.T) {
	c, _ := newPeer(t, func(p *peer, f Frame) {
		if f.Type == TypeExec {
			p.send(TypeStderr, f.Stream, []byte("importing"))
			p.send(TypeStarted, f.Stream, started)
		}
	})
	var errs bytes.Buffer
	if _, err := c.Exec(t.Context(), ExecRequest{Flags: ExecWarmStart}, Streams{Stderr: &errs}); err != nil || errs.String() != "importing" {
		t.Errorf("%q, %v", errs.String(), err)
	}
}

// TestStdinKeepsToTheWindow grants little by little and counts.
func TestStdinKeepsToTheWindow(t *testing.T) {
	const total = 5*InitialWindow + 13
	received, granted := 0, InitialWindow
	c, _ := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeExec:
			p.send(TypeStarted, f.Stream, started)
		case TypeStdin:
			if received += len(f.Payload); received > granted {
				t.Errorf("%d bytes of input came, %d were granted", received, granted)
			}
			if received == granted {
				granted += 40_000
				p.send(TypeWindow, f.Stream, Fields(nil).U32(40_000))
			}
		case TypeStdinEOF:
			p.send(TypeExit, f.Stream, ExitReport{}.Encode())
		}
	})
	in := bytes.Repeat([]byte("x"), total)
	for _, r := range []io.Reader{bytes.NewReader(in), struct{ io.Reader }{bytes.NewReader(in)}} {
		received, granted = 0, InitialWindow
		if _, err := c.Exec(t.Context(), ExecRequest{}, Streams{Stdin: r}); err != nil || received != total {
			t.Errorf("%d bytes of %d, %v", received, total, err)
		}
	}
}

// TestBlockedStdin ends a program while its input blocks, as a terminal does.
func TestBlockedStdin(t *testing.T) {
	in := &terminal{entered: make(chan struct{}), typed: make(chan struct{}), left: make(chan struct{})}
	c, p := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeExec:
			p.send(TypeStarted, f.Stream, started)
			<-in.entered
			p.send(TypeExit, f.Stream, ExitReport{}.Encode())
		case TypeReset:
			p.send(TypeOK, f.Stream, nil)
		}
	})
	if _, err := c.Exec(t.Context(), ExecRequest{}, Streams{Stdin: in}); err != nil {
		t.Fatal(err)
	}
	close(in.typed)
	<-in.left
	if err := c.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	for _, f := range p.frames() {
		if f.Type == TypeStdin {
			t.Error("input was sent to a program that had ended")
		}
	}
}

// terminal is a reader whose first Read blocks until somebody typed.
type terminal struct{ entered, typed, left chan struct{} }

func (r *terminal) Read(b []byte) (int, error) {
	close(r.entered)
	<-r.typed
	defer close(r.left)
	return copy(b, "too late"), nil
}

func TestExecCallersStreamsFail(t *testing.T) {
	broken := errors.New("broken")
	answer := func(p *peer, f Frame) {
		if f.Type == TypeExec {
			p.send(TypeStarted, f.Stream, started)
			p.send(TypeStdout, f.Stream, []byte("x"))
		}
	}
	c, _ := newPeer(t, answer)
	var we *WriterError
	if _, err := c.Exec(t.Context(), ExecRequest{}, Streams{Stdout: errWriter{broken}}); !errors.As(err, &we) || !errors.Is(err, broken) {
		t.Errorf("writer: %v", err)
	}
	var re *ReaderError
	if _, err := c.Exec(t.Context(), ExecRequest{}, Streams{Stdin: errReader{broken}}); !errors.As(err, &re) || !errors.Is(err, broken) {
		t.Errorf("reader: %v", err)
	}
}

func TestExecIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	timeout := errors.New("the deadline passed")
	c, _ := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeExec:
			p.send(TypeStarted, f.Stream, started)
			cancel(timeout)
		case TypeReset: // what the abandoned program still says is dropped
			p.send(TypeStdout, 1, []byte("late"))
			p.send(TypeExit, 1, ExitReport{}.Encode())
			p.send(TypeOK, f.Stream, nil)
		}
	})
	if _, err := c.Exec(ctx, ExecRequest{}, Streams{}); !errors.Is(err, timeout) {
		t.Errorf("exec: %v", err)
	}
	if err := c.Reset(t.Context()); err != nil {
		t.Errorf("the connection does not work afterwards: %v", err)
	}
}

func TestLaunch(t *testing.T) {
	c, p := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeExec:
			p.send(TypeStarted, f.Stream, started)
			p.send(TypeStdout, f.Stream, []byte("up"))
		case TypeSignal:
			r := NewReader(f.Payload)
			p.send(TypeExit, f.Stream, ExitReport{Status: r.U32(), TasksPeak: r.U32()}.Encode())
		case TypeReset:
			p.send(TypeOK, f.Stream, nil)
		}
	})
	var programs []*Program
	for range 2 {
		program, err := c.Launch(t.Context(), ExecRequest{Flags: ExecTerminal}, Streams{})
		if err != nil || program.PID() != 7 {
			t.Fatalf("%+v, %v", program, err)
		}
		programs = append(programs, program)
	}
	// Nobody waits for them yet, and the connection works all the same.
	if err := c.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, program := range programs {
		if err := program.Resize(t.Context(), 24, 80); err != nil {
			t.Error(err)
		}
		if err := program.Signal(t.Context(), syscall.SIGINT, i == 1); err != nil {
			t.Error(err)
		}
		report, err := program.Wait(t.Context())
		if err != nil || report.Status != uint32(syscall.SIGINT) || report.TasksPeak != uint32(i) {
			t.Errorf("%+v, %v", report, err)
		}
	}
	sent := len(p.frames())
	if err := programs[0].Signal(t.Context(), syscall.SIGKILL, true); err != nil || len(p.frames()) != sent {
		t.Errorf("a signal to a program that ended: %v, %v", err, p.frames()[sent:])
	}
}

func TestAttach(t *testing.T) {
	grant := make(chan uint32, 1)
	c, p := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeAttach:
			r := NewReader(f.Payload)
			if pid := r.U32(); pid != 7 || r.Err != nil {
				p.send(TypeErr, f.Stream, Fields(nil).U32(uint32(syscall.ESRCH)).String("no"))
				return
			}
			p.send(TypeStarted, f.Stream, started)
			p.send(TypeWindow, f.Stream, Fields(nil).U32(3))
			grant <- f.Stream
		case TypeStdin:
			p.send(TypeStdout, f.Stream, f.Payload)
			p.send(TypeExit, f.Stream, ExitReport{Status: 9}.Encode())
		}
	})
	if _, err := c.Attach(t.Context(), 8, Streams{}); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("an unknown pid: %v", err)
	}
	var out bytes.Buffer
	program, err := c.Attach(t.Context(), 7, Streams{Stdin: strings.NewReader("abcdef"), Stdout: &out})
	if err != nil || program.PID() != 7 {
		t.Fatalf("%+v, %v", program, err)
	}
	if report, err := program.Wait(t.Context()); err != nil || report.Status != 9 || out.String() != "abc" {
		t.Errorf("%+v, %q, %v", report, out.String(), err)
	}
	// Without a reader the program's input is left alone.
	program, err = c.Attach(t.Context(), 7, Streams{})
	if err != nil {
		t.Fatal(err)
	}
	<-grant
	p.send(TypeExit, <-grant, ExitReport{}.Encode())
	if _, err := program.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	for _, f := range p.frames() {
		if f.Type == TypeStdinEOF {
			t.Error("the input was closed")
		}
	}
}

// TestOutputKeepsToTheWindow lets a guest send as much as it may, to a writer
// that does not take it: nothing else is held back by that, and room comes with
// what is taken.
func TestOutputKeepsToTheWindow(t *testing.T) {
	const frame = 8 << 10
	const most = OutputWindow / (frame + OutputCost)
	room := make(chan uint32, 1)
	c, _ := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeExec:
			p.send(TypeStarted, f.Stream, started)
			for range most {
				p.send(TypeStdout, f.Stream, make([]byte, frame))
			}
		case TypeWindow:
			r := NewReader(f.Payload)
			room <- r.U32()
			p.send(TypeExit, f.Stream, ExitReport{}.Encode())
		case TypeReset:
			p.send(TypeOK, f.Stream, nil)
		}
	})
	entered, free := make(chan struct{}, most), make(chan struct{})
	program, err := c.Launch(t.Context(), ExecRequest{}, Streams{Stdout: writerFunc(func([]byte) {
		entered <- struct{}{}
		<-free
	})})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := program.Wait(t.Context())
		ended <- err
	}()
	<-entered
	if err := c.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	close(free)
	if n := <-room; n < OutputWindow/2 || n > OutputWindow {
		t.Errorf("room for %d bytes more", n)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestAbandonedProgramGetsRoom: its end must not wait for a reader.
func TestAbandonedProgramGetsRoom(t *testing.T) {
	c, p := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeExec:
			p.send(TypeStarted, f.Stream, started)
			p.send(TypeStdout, f.Stream, []byte("x"))
		case TypeReset:
			p.send(TypeOK, f.Stream, nil)
		}
	})
	_, err := c.Exec(t.Context(), ExecRequest{}, Streams{Stdout: errWriter{errors.New("broken")}})
	var we *WriterError
	if !errors.As(err, &we) {
		t.Errorf("error %v", err)
	}
	if err := c.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	for _, f := range p.frames() {
		if f.Type == TypeWindow {
			return
		}
	}
	t.Error("the program that nobody listens to got no room")
}

// TestFreeze looks at what is written between Freeze and Thaw: nothing.
func TestFreeze(t *testing.T) {
	c, p := newPeer(t, func(p *peer, f Frame) { p.send(TypeOK, f.Stream, nil) })
	for range 2 {
		if err := c.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		frames := len(p.frames())
		ctx, cancel := context.WithCancel(t.Context())
		reset := make(chan error, 1)
		go func() { reset <- c.Reset(ctx) }()
		cancel()
		if err := <-reset; !errors.Is(err, context.Canceled) || len(p.frames()) != frames {
			t.Errorf("an operation of a frozen connection: %v, %v", err, p.frames()[frames:])
		}
		go func() { reset <- c.Reset(t.Context()) }()
		if err := c.Thaw(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-reset; err != nil {
			t.Error(err)
		}
		if f := p.frames(); f[frames].Type != TypeThaw {
			t.Errorf("behind FREEZE came %v", f[frames])
		}
	}
	if err := c.Thaw(t.Context()); err != nil {
		t.Errorf("a thaw without a freeze: %v", err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// TestManyAtOnce runs programs and files over one connection at the same time.
func TestManyAtOnce(t *testing.T) {
	c, _ := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeExec:
			req, _ := DecodeExecRequest(f.Payload)
			p.send(TypeStarted, f.Stream, started)
			for range 20 {
				p.send(TypeStdout, f.Stream, []byte(req.Argv[0]))
			}
			p.send(TypeExit, f.Stream, ExitReport{}.Encode())
		case TypeEnd:
			p.send(TypeOK, f.Stream, nil)
		}
	})
	var all sync.WaitGroup
	for i := range 16 {
		name := string(rune('a' + i))
		all.Go(func() {
			var out bytes.Buffer
			if _, err := c.Exec(t.Context(), ExecRequest{Argv: []string{name}}, Streams{Stdout: &out}); err != nil || out.String() != strings.Repeat(name, 20) {
				t.Errorf("%s: %q, %v", name, out.String(), err)
			}
		})
		all.Go(func() {
			if err := c.Put(t.Context(), name, 0, strings.NewReader(name)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
