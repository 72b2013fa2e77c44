package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/guest"
)

// process is a program of a session. Two goroutines are its own until done is
// closed: one passes its output on, the other watches its limits.
type process struct {
	s       *session
	x       *execution
	begun   chan struct{} // closed when program is set
	program *guest.Program
	over    chan struct{} // closed when the guest has reported its end, or is lost
	watched chan struct{} // closed when nobody watches it any more

	broken   chan struct{} // closed when one of the caller's streams failed, or the output limit was reached
	breaking sync.Once
	writing  atomic.Bool // in one of the caller's writers

	done chan struct{} // closed when res and err are set
	res  api.ExecResult
	err  error
}

var _ Process = (*process)(nil)

// Exec runs one program to its end, or to its limits: see Start.
func (s *session) Exec(ctx context.Context, spec api.ExecSpec, io Stdio) (api.ExecResult, error) {
	p, err := s.start(ctx, spec, io)
	if err != nil {
		return api.ExecResult{}, err
	}
	return p.Wait()
}

// Start starts a program. Its timeout is wall-clock time, a pause of the sandbox
// included. CPUTime is kept by the guest for each process, in whole seconds, and
// the figures in ExecResult.Usage are the box's: what else ran meanwhile is in
// them.
//
// A program that reached a limit, or whose ctx ended, is killed with everything
// that it started. If the guest does not report its end soon, it does not obey, and
// the sandbox is destroyed; but a guest that is paused, or that waits for the
// caller's writer, is given the time.
func (s *session) Start(ctx context.Context, spec api.ExecSpec, io Stdio) (Process, error) {
	p, err := s.start(ctx, spec, io)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (s *session) start(ctx context.Context, spec api.ExecSpec, io Stdio) (*process, error) {
	x, err := s.newExecution(spec)
	if err != nil {
		return nil, err
	}
	if x.request, err = s.request(spec, x.limits); err != nil {
		return nil, err
	}
	return s.begin(ctx, x, io, func(ctx context.Context, streams guest.Streams) (*guest.Program, error) {
		return s.client.Launch(ctx, x.request, streams)
	})
}

// Attach takes up a program that ran in the snapshot that the sandbox was restored
// from. Of spec, only the limits count.
func (s *session) Attach(ctx context.Context, pid int, spec api.ExecSpec, io Stdio) (Process, error) {
	x, err := s.limited(spec)
	if err != nil {
		return nil, err
	}
	p, err := s.begin(ctx, x, io, func(ctx context.Context, streams guest.Streams) (*guest.Program, error) {
		return s.client.Attach(ctx, pid, streams)
	})
	switch {
	case errors.Is(err, syscall.ESRCH):
		return nil, api.Errorf(api.CodeNotFound, "cannot attach to process %d of sandbox %s: because no such program came with its snapshot, or it has ended", pid, s.id).
			WithFix("start a new one")
	case err != nil:
		return nil, err
	}
	return p, nil
}

// begin starts a program and the goroutines that see to it. Once it was asked
// for, there is a process: also one that had reached a limit before it ran.
func (s *session) begin(ctx context.Context, x *execution, io Stdio, ask func(context.Context, guest.Streams) (*guest.Program, error)) (*process, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	p := &process{
		s: s, x: x, begun: make(chan struct{}), over: make(chan struct{}), watched: make(chan struct{}),
		broken: make(chan struct{}), done: make(chan struct{}),
	}
	s.follow(&x.first)
	x.out = &outputCap{limit: x.limits.OutputBytes, first: &x.first}
	x.before = s.usage()
	x.began = time.Now()
	// The end of ctx kills the program, and it is heard of its end all the same.
	within, cut := context.WithCancel(context.WithoutCancel(ctx))
	go p.watch(ctx, cut)
	program, err := ask(within, p.streams(io))
	if err != nil {
		p.finish(guest.ExitReport{}, err)
		cut()
		return p, p.err
	}
	p.program = program
	close(p.begun)
	go func() {
		defer cut()
		p.finish(p.program.Wait(within))
	}()
	return p, nil
}

// finish judges a program whose end is known, or never will be.
func (p *process) finish(report guest.ExitReport, err error) {
	if err == nil {
		p.x.first.record(stopNone)
	}
	close(p.over)
	<-p.watched
	var refused *api.Error
	if p.x.first.reason() == stopNone && errors.As(err, &refused) {
		p.err = err // the request was never sent
	} else {
		p.res, p.err = judge(p.x.outcome(report, err))
	}
	p.s.unfollow(&p.x.first)
	close(p.done)
}

// watch waits for the program's end or for the first reason to end it.
func (p *process) watch(ctx context.Context, cut func()) {
	defer close(p.watched)
	wall := time.NewTimer(p.x.limits.Timeout)
	defer wall.Stop()
	why := stopStreams
	select {
	case <-p.over:
		return
	case <-p.broken:
	case <-ctx.Done():
		why = stopCancelled
	case <-wall.C:
		why = stopTimeout
	}
	p.x.first.record(why) // unless there was another reason before
	if !p.kill() {
		p.s.discardFor(ctx, stopDied, "a program did not end when it was killed")
		cut()
	}
}

// kill ends the program with everything that it started, and tells whether the
// guest reported that in time.
func (p *process) kill() bool {
	begun := p.begun
	for {
		select {
		case <-begun:
			begun = nil
		default:
		}
		naps, held := p.s.naps.Load(), p.writing.Load()
		awake := naps%2 == 0
		if awake && begun == nil {
			within, cancel := context.WithTimeout(context.Background(), killGrace)
			_ = p.program.Signal(within, syscall.SIGKILL, true) // what it comes to is seen below
			cancel()
		}
		late := time.NewTimer(killGrace)
		select {
		case <-p.over:
			late.Stop()
			return true
		case <-begun:
			late.Stop()
			continue
		case <-late.C:
		}
		if awake && p.s.naps.Load() == naps && !held && !p.writing.Load() {
			return false
		}
	}
}

// PID is the program's process id inside; 0 when it never ran.
func (p *process) PID() int {
	if p.program == nil {
		return 0
	}
	return p.program.PID()
}

// Signal sends a signal. That the program has ended meanwhile is no error.
func (p *process) Signal(ctx context.Context, sig syscall.Signal, tree bool) error {
	if sig < 1 || sig > 64 {
		return api.Errorf(api.CodeInvalid, "cannot send signal %d: because there is no such signal", int(sig)).WithFix("use 1 to 64, as 15 for SIGTERM")
	}
	return p.tell(ctx, "send a signal", func() error { return p.program.Signal(ctx, sig, tree) })
}

// Resize changes the size of the program's terminal.
func (p *process) Resize(ctx context.Context, t api.Terminal) error {
	return p.tell(ctx, "resize the terminal", func() error { return p.program.Resize(ctx, t.Rows, t.Cols) })
}

func (p *process) tell(ctx context.Context, doing string, say func() error) error {
	if p.program == nil {
		return nil
	}
	select {
	case <-p.over:
		return nil
	default:
	}
	if err := p.s.ready(); err != nil {
		return err
	}
	return p.s.boxError(ctx, doing, say())
}

// Wait returns at the program's end, and when its streams are no longer used.
func (p *process) Wait() (api.ExecResult, error) {
	<-p.done
	return p.res, p.err
}

// streams are the caller's, made so that none fails in the guest client's hands:
// it would not listen to the program any more then, and whether a program that was
// killed has ended is what has to be heard.
func (p *process) streams(io Stdio) guest.Streams {
	s := guest.Streams{Stdin: io.Stdin, Stdout: programWriter{p, p.x.out.writer(io.Stdout)}, Stderr: programWriter{p, p.x.out.writer(io.Stderr)}}
	switch io.Stdin.(type) {
	case nil, *bytes.Reader, *bytes.Buffer, *strings.Reader: // these don't fail, and the client knows them
	default:
		s.Stdin = programReader{p, io.Stdin}
	}
	return s
}

// breakOff has the program ended because of its streams, if it has not ended yet.
func (p *process) breakOff() {
	p.x.first.record(stopStreams) // unless the output limit was what failed
	p.breaking.Do(func() { close(p.broken) })
}

type programWriter struct {
	p  *process
	to io.Writer
}

func (w programWriter) Write(b []byte) (int, error) {
	select {
	case <-w.p.broken:
		return len(b), nil // nobody wants the rest
	default:
	}
	w.p.writing.Store(true)
	_, err := w.to.Write(b)
	w.p.writing.Store(false)
	if err != nil {
		w.p.breakOff()
	}
	return len(b), nil
}

type programReader struct {
	p    *process
	from io.Reader
}

func (r programReader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	r.p.breakOff()
	<-r.p.over // an end of input would have the program take a half for the whole
	return 0, io.EOF
}
