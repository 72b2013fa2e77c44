package guest

import (
	"bytes"
	"context"
	"sync"
	"syscall"
	"time"
)

// leaveGrace is how long it may take to tell the guest that nobody listens to a
// program any more.
const leaveGrace = time.Second

// Program is a program that runs inside. Its methods may be called concurrently,
// but Wait only once.
//
// The connection's reader puts its frames into a queue, which the protocol's
// output window bounds; whoever started the program takes them out.
type Program struct {
	c      *Client
	st     *stream
	s      Streams
	in     *stdin
	ctx    context.Context // of the input's goroutine; its cause says why that failed
	cancel context.CancelCauseFunc
	pid    int
	taken  int // of the output window, by writers, since room was last given

	ready chan struct{} // holds a token when the queue may have become longer

	mu     sync.Mutex // guards what follows
	queue  []Frame
	unread int  // of the output window, in the queue or with a writer
	words  int  // frames that came besides output and windows
	left   bool // nobody listens any more: frames are dropped
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
	p := &Program{c: c, s: s, ready: make(chan struct{}, 1)}
	st, err := c.open(ends...)
	if err != nil {
		return nil, err
	}
	b, err := appendRequest(nil, Frame{Type: t, Stream: st.id, Payload: payload})
	if err != nil {
		c.forget(st)
		return nil, err
	}
	p.st, st.take = st, p.take
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

// tell sends a frame that has no answer, unless the stream has ended: then its
// number may belong to another operation already.
func (p *Program) tell(ctx context.Context, t Type, payload []byte) error {
	if !p.c.speaks(p.st) {
		return nil
	}
	return p.c.write(ctx, AppendFrame(nil, Frame{Type: t, Stream: p.st.id, Payload: payload}))
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

// take queues a frame; it runs on the connection's reader.
func (p *Program) take(f Frame) error {
	if f.Type == TypeWindow {
		return p.in.grant(f)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return nil
	}
	switch f.Type {
	case TypeStdout, TypeStderr:
		if p.unread += len(f.Payload) + OutputCost; p.unread > OutputWindow {
			return protocolErrorf("it sent more than the %d bytes of output that were granted", OutputWindow)
		}
	default: // STARTED, and EXIT or ERR
		if p.words++; p.words > 2 {
			return protocolErrorf("it sent a frame of type %d amid a program's output", f.Type)
		}
	}
	f.Payload = bytes.Clone(f.Payload)
	p.queue = append(p.queue, f)
	select {
	case p.ready <- struct{}{}:
	default:
	}
	return nil
}

// next waits for the program's next frame.
func (p *Program) next(ctx context.Context) (Frame, error) {
	for {
		if f, ok := p.pop(); ok {
			return f, nil
		}
		select {
		case <-p.ready:
		case <-ctx.Done():
			return Frame{}, context.Cause(ctx)
		case <-p.ctx.Done(): // the input failed
			return Frame{}, context.Cause(p.ctx)
		case <-p.c.done:
			if f, ok := p.pop(); ok {
				return f, nil
			}
			return Frame{}, p.c.Err()
		}
	}
}

func (p *Program) pop() (Frame, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return Frame{}, false
	}
	f := p.queue[0]
	p.queue[0] = Frame{}
	p.queue = p.queue[1:]
	return f, true
}

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
	p.taken += len(f.Payload) + OutputCost
	if p.taken < OutputWindow/2 {
		return nil
	}
	n := p.taken
	p.taken = 0
	p.mu.Lock()
	p.unread -= n
	p.mu.Unlock()
	return p.tell(ctx, TypeWindow, Fields(nil).U32(uint32(n)))
}

// leave is called when nobody listens to the program any more. If it has not
// ended, what it still says is dropped, and it gets all the room for that: else
// its end would wait for a reader.
func (p *Program) leave(ctx context.Context) {
	p.cancel(nil)
	p.in.stop()
	p.mu.Lock()
	p.left, p.queue = true, nil
	p.mu.Unlock()
	if p.c.speaks(p.st) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveGrace)
		defer cancel()
		_ = p.tell(ctx, TypeWindow, Fields(nil).U32(maxWindow)) // an error means that the connection is lost
	}
	p.c.leave(p.st)
}
