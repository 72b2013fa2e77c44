package guest

import (
	"context"
	"fmt"
	"io"
)

// Streams connects a program's standard streams. A nil Stdin is empty, nil
// writers discard.
//
// Writers are used on the goroutine of Exec or Program.Wait, as output arrives;
// one that blocks holds back its program. Stdin is read ahead on a goroutine of
// its own: see Exec.
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
	if req.Flags&ExecWarmStart != 0 {
		p, err := c.begin(ctx, TypeExec, req.Encode(), s, TypeExit, TypeErr, TypeStarted)
		if err != nil {
			return ExitReport{}, err
		}
		return p.waitWarm(ctx)
	}
	p, err := c.Launch(ctx, req, s)
	if err != nil {
		return ExitReport{}, err
	}
	return p.Wait(ctx)
}

func (c *Client) exit(f Frame) (ExitReport, error) {
	report, err := DecodeExitReport(f.Payload)
	if err != nil {
		return ExitReport{}, c.violation("its EXIT frame has malformed fields")
	}
	return report, nil
}

// Reset makes the guest kill every process but its warm interpreter and empty
// the places that a program can write to.
func (c *Client) Reset(ctx context.Context) error {
	return c.order(ctx, TypeReset, nil, "reset the guest")
}

// order sends a request that OK or ERR answers.
func (c *Client) order(ctx context.Context, t Type, payload []byte, what string) error {
	st, err := c.request(ctx, t, payload, TypeOK, TypeErr)
	if err != nil {
		return err
	}
	defer c.leave(st)
	if err := c.answer(ctx, st); err != nil {
		return fmt.Errorf("cannot %s: %w", what, err)
	}
	return nil
}
