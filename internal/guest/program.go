package guest

import (
	"context"
	"syscall"
	"time"
)

// leaveGrace is how long it may take to tell the guest that nobody listens to a
// program any more.
const leaveGrace = time.Second

// Program is a program that runs inside. Its methods may be called concurrently,
// but Wait only once.
type Program struct {
	*inbox
	s      Streams
	in     *stdin
	ctx    context.Context // of the input's goroutine; its cause says why that failed
	cancel context.CancelCauseFunc
	pid    int
}

// Launch starts a program and returns when it runs. Until Wait is called, its
// output waits, and with it the program when that is much: the caller must call
// Wait, also after it lost interest, since Wait releases what the program holds.
//
// ctx is for the start only. Errors are those of Exec.
func (c *Client) Launch(ctx context.Context, req ExecRequest, s Streams) (*Program, error) {
	return c.launch(ctx, TypeExec, req.Encode(), s)
}

// Attach takes up a program that ran in the snapshot that the guest was restored
// from, by its pid inside. A nil Stdin leaves its input alone. The rest is as for
// Launch. Errors: GuestError with ESRCH when there is no such program.
func (c *Client) Attach(ctx context.Context, pid int, s Streams) (*Program, error) {
	return c.launch(ctx, TypeAttach, Fields(nil).U32(uint32(pid)), s)
}

func (c *Client) launch(ctx context.Context, t Type, payload []byte, s Streams) (*Program, error) {
	p, err := c.begin(ctx, t, payload, s, TypeExit, TypeErr)
	if err != nil {
		return nil, err
	}
	if err := p.awaitStart(ctx); err != nil {
		p.leave(ctx)
		return nil, err
	}
	return p, nil
}

// begin sends the request. The program must be left.
func (c *Client) begin(ctx context.Context, t Type, payload []byte, s Streams, ends ...Type) (*Program, error) {
	st, err := c.open(ends...)
	if err != nil {
		return nil, err
	}
	b, err := appendRequest(nil, Frame{Type: t, Stream: st.id, Payload: payload})
	if err != nil {
		c.forget(st)
		return nil, err
	}
	p := &Program{inbox: newInbox(c, st, 2), s: s}
	st.take = p.take
	p.in = newStdin(c, st, s.Stdin, t == TypeAttach)
	p.ctx, p.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	go p.in.pump(p.ctx, b, p.cancel)
	return p, nil
}

// PID is the program's process id inside, as the guest told it.
func (p *Program) PID() int { return p.pid }

// Signal sends a signal to the program's process group, or with tree to
// everything that it started, wherever that went. There is no answer: a program
// that has just ended is fine.
func (p *Program) Signal(ctx context.Context, sig syscall.Signal, tree bool) error {
	everything := uint32(0)
	if tree {
		everything = 1
	}
	return p.tell(ctx, TypeSignal, Fields(nil).U32(uint32(sig)).U32(everything))
}

// Resize changes the size of the program's terminal; without one it does nothing.
func (p *Program) Resize(ctx context.Context, rows, cols uint16) error {
	return p.tell(ctx, TypeResize, Fields(nil).U32(uint32(rows)).U32(uint32(cols)))
}

// Wait passes the program's output on, on the calling goroutine, until it ends,
// and reports what the guest says of that. Errors are those of Exec.
func (p *Program) Wait(ctx context.Context) (ExitReport, error) {
	defer p.leave(ctx)
	for {
		f, err := p.next(ctx)
		if err != nil {
			return ExitReport{}, err
		}
		switch f.Type {
		case TypeStdout, TypeStderr:
			err = p.pass(ctx, f)
		case TypeExit:
			return p.c.exit(f)
		default:
			err = p.c.violation("it sent a frame of type %d amid a program's output", f.Type)
		}
		if err != nil {
			return ExitReport{}, err
		}
	}
}

// awaitStart waits for STARTED or ERR.
func (p *Program) awaitStart(ctx context.Context) error {
	f, err := p.next(ctx)
	if err != nil {
		return err
	}
	switch f.Type {
	case TypeErr:
		return p.c.refusal(f)
	case TypeStarted:
		r := NewReader(f.Payload)
		p.pid = int(r.U32())
		if r.Err != nil {
			return p.c.violation("its STARTED frame has malformed fields")
		}
		return nil
	}
	return p.c.violation("it sent a frame of type %d for a program that it has not started", f.Type)
}

// waitWarm waits for a warm interpreter, which may talk before it is STARTED,
// because that means that it waits for work.
func (p *Program) waitWarm(ctx context.Context) (ExitReport, error) {
	defer p.leave(ctx)
	for {
		f, err := p.next(ctx)
		if err != nil {
			return ExitReport{}, err
		}
		switch f.Type {
		case TypeStdout, TypeStderr:
			err = p.pass(ctx, f)
		case TypeErr:
			return ExitReport{}, p.c.refusal(f)
		case TypeStarted:
			return ExitReport{}, nil
		case TypeExit:
			return p.c.exit(f)
		default:
			err = p.c.violation("it sent a frame of type %d amid a program's output", f.Type)
		}
		if err != nil {
			return ExitReport{}, err
		}
	}
}

// take is given the program's frames by the connection's reader.
func (p *Program) take(f Frame) error {
	if f.Type == TypeWindow {
		return p.in.grant(f)
	}
	return p.put(f)
}

// next waits for the program's next frame, or for the failure of its input.
func (p *Program) next(ctx context.Context) (Frame, error) { return p.inbox.next(ctx, p.ctx) }

// pass gives output to its writer, and then the program as much room for more.
func (p *Program) pass(ctx context.Context, f Frame) error {
	w := p.s.Stdout
	if f.Type == TypeStderr {
		w = p.s.Stderr
	}
	if w != nil {
		if _, err := w.Write(f.Payload); err != nil {
			return &WriterError{Err: err}
		}
	}
	return p.done(ctx, f)
}

// leave is called when nobody listens to the program any more. If it has not
// ended, what it still says is dropped, and it gets all the room for that: else
// its end would wait for a reader.
func (p *Program) leave(ctx context.Context) {
	p.cancel(nil)
	p.in.stop()
	p.inbox.leave(ctx, TypeWindow, Fields(nil).U32(maxWindow))
}
