package guest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"syscall"
)

// Streams connects a program's standard streams. A nil Stdin is empty, nil
// writers discard.
//
// Writers are used on Exec's own goroutine, as output arrives; one that blocks
// holds back the program, and with it everything else that is asked of the same
// guest. Stdin is read ahead on a goroutine of its own: see Exec.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Exec runs one program to its end and reports what the guest says of it. With
// ExecWarmStart it returns an empty report as soon as the interpreter waits for
// work; if the interpreter ended instead, the report is about that.
//
// Errors: GuestError when the program could not be started; WriterError and
// ReaderError when the caller's streams failed; ProtocolError; the context's
// cause. After an error the program may still run: the caller ends the box, or
// signals the program.
//
// Exec returns at the program's end even when Stdin blocks (a terminal). The
// goroutine that reads Stdin then ends with its Read, whenever that is, and what
// it read is lost. Nobody can wait for it but the caller, who knows how to make
// the Read return; it touches neither the connection nor the program any more.
func (c *Client) Exec(ctx context.Context, req ExecRequest, s Streams) (ExitReport, error) {
	warm := req.Flags&ExecWarmStart != 0
	ends := []Type{TypeExit, TypeErr}
	if warm {
		ends = append(ends, TypeStarted)
	}
	st, err := c.open(ends...)
	if err != nil {
		return ExitReport{}, err
	}
	b, err := appendRequest(nil, Frame{Type: TypeExec, Stream: st.id, Payload: req.Encode()})
	if err != nil {
		c.forget(st)
		return ExitReport{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in := newStdin(c, st, s.Stdin)
	go in.pump(ctx, b, cancel)
	defer in.stop()
	defer c.leave(st)
	return c.follow(ctx, st, in, s, warm)
}

// follow deals with a program's frames in the order that the protocol allows:
// ERR, or STARTED, any output and windows, EXIT. A warm start may talk before
// it is STARTED, because then it has only begun to wait.
func (c *Client) follow(ctx context.Context, st *stream, in *stdin, s Streams, warm bool) (ExitReport, error) {
	started := false
	for {
		f, err := c.recv(ctx, st)
		if err != nil {
			return ExitReport{}, err
		}
		switch {
		case f.Type == TypeErr && !started:
			return ExitReport{}, c.refusal(f)
		case f.Type == TypeStarted && !started:
			if warm {
				return ExitReport{}, nil
			}
			started = true
		case !started && !warm:
			return ExitReport{}, c.violation("it sent a frame of type %d for a program that it has not started", f.Type)
		case f.Type == TypeStdout:
			err = pass(s.Stdout, f.Payload)
		case f.Type == TypeStderr:
			err = pass(s.Stderr, f.Payload)
		case f.Type == TypeWindow:
			err = in.grant(f)
		case f.Type == TypeExit:
			return c.exit(f)
		default:
			return ExitReport{}, c.violation("it sent a frame of type %d amid a program's output", f.Type)
		}
		if err != nil {
			return ExitReport{}, err
		}
	}
}

func (c *Client) exit(f Frame) (ExitReport, error) {
	report, err := DecodeExitReport(f.Payload)
	if err != nil {
		return ExitReport{}, c.violation("its EXIT frame has malformed fields")
	}
	return report, nil
}

func pass(w io.Writer, b []byte) error {
	if w == nil {
		return nil
	}
	if _, err := w.Write(b); err != nil {
		return &WriterError{Err: err}
	}
	return nil
}

// Signal sends a signal to the process group of every program that runs over
// this connection. There is no answer: a program that has just ended is fine.
func (c *Client) Signal(ctx context.Context, sig syscall.Signal) error {
	var b []byte
	c.mu.Lock()
	for id, st := range c.streams {
		if slices.Contains(st.ends, TypeExit) { // a program

			b = AppendFrame(b, Frame{Type: TypeSignal, Stream: id, Payload: Fields(nil).U32(uint32(sig))})
		}
	}
	c.mu.Unlock()
	if b == nil {
		return nil
	}
	return c.write(ctx, b)
}

// Reset makes the guest kill every process but its warm interpreter and empty
// the places that a program can write to.
func (c *Client) Reset(ctx context.Context) error {
	st, err := c.request(ctx, TypeReset, nil, TypeOK, TypeErr)
	if err != nil {
		return err
	}
	defer c.leave(st)
	if err := c.answer(ctx, st); err != nil {
		return fmt.Errorf("cannot reset the guest: %w", err)
	}
	return nil
}
