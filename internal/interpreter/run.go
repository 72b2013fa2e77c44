package interpreter

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// The defaults of a cell.
const (
	DefaultTimeout     = 60 * time.Second
	DefaultOutputBytes = 1 << 20
	DefaultResultBytes = 10 << 20
)

// RunOptions are of one cell; 0 means the default.
type RunOptions struct {
	// Timeout is wall clock, from the cell's turn. Then it is interrupted.
	Timeout time.Duration
	Env     map[string]string // of this cell alone
	// OutputBytes caps stdout and stderr together, ResultBytes the results; what is
	// beyond is dropped, and the cell goes on.
	OutputBytes, ResultBytes int64
	// Sink is told what the cell says while it runs, one event at a time, on another
	// goroutine. While it blocks, the cell goes on, but Run does not return.
	Sink func(api.CodeEvent)
}

func (o RunOptions) withDefaults() RunOptions {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.OutputBytes == 0 {
		o.OutputBytes = DefaultOutputBytes
	}
	if o.ResultBytes == 0 {
		o.ResultBytes = DefaultResultBytes
	}
	if o.Sink == nil {
		o.Sink = func(api.CodeEvent) {}
	}
	return o
}

func (o RunOptions) check(code string) error {
	switch {
	case len(code) > kernel.MaxCode:
		return api.Errorf(api.CodeInvalid, "cannot run a cell of %s: because %s are allowed", api.FormatBytes(int64(len(code))), api.FormatBytes(kernel.MaxCode)).
			WithFix("put the data into a file")
	case !utf8.ValidString(code):
		return api.Errorf(api.CodeInvalid, "cannot run the cell: because its code is not UTF-8").WithFix("put the data into a file")
	case o.Timeout < 0 || o.OutputBytes < 0 || o.ResultBytes < 0 || o.ResultBytes > kernel.MaxResults:
		return api.Errorf(api.CodeInvalid, "cannot run the cell: because a limit is negative, or its results may exceed %s", api.FormatBytes(kernel.MaxResults)).
			WithFix("leave the limits out")
	}
	return nil
}

// Run runs one cell. Its end, whatever it was, is in the result; an error is the
// platform's: CodeInvalid, CodeConflict (the session was closed, or its sandbox
// is gone), CodeCancelled (ctx; the cell was interrupted then), CodeUnavailable (the
// kernel could not be started again).
func (k *Kernel) Run(ctx context.Context, code string, o RunOptions) (api.CodeExecution, error) {
	if err := o.check(code); err != nil {
		return api.CodeExecution{}, err
	}
	o = o.withDefaults()
	events := newRelay(o.Sink)
	defer events.finish() // after release: the next cell waits for nobody's reader
	o.Sink = events.give
	release, err := k.take(ctx)
	if err != nil {
		return api.CodeExecution{}, err
	}
	defer release()
	if p := k.current(); ended(p) { // since the last cell
		if err := k.launch(ctx); err != nil {
			return api.CodeExecution{}, err
		}
	}
	return k.runIn(ctx, k.current(), code, o)
}

// runIn runs a cell in p, and replaces p if it does not survive that.
func (k *Kernel) runIn(ctx context.Context, p *program, code string, o RunOptions) (api.CodeExecution, error) {
	cell := newCell(o)
	began := time.Now()
	call, err := p.conn.Send(kernel.Request{
		Op: kernel.OpRun, Code: code, Env: o.Env, OutputBytes: o.OutputBytes, ResultBytes: o.ResultBytes,
	}, cell.take)
	if err != nil {
		return api.CodeExecution{}, err
	}
	end, timedOut := k.await(ctx, p, call, o.Timeout)
	p.conn.Abandon(call) // cell is ours alone from here on
	x := cell.finish()
	x.WallMS = time.Since(began).Milliseconds()
	x.TimedOut = timedOut
	k.mu.Lock()
	k.count++
	if end != nil && end.Count > 0 {
		k.count = end.Count
	}
	x.Count = k.count
	k.mu.Unlock()
	if end != nil {
		x.Truncated = x.Truncated || end.Truncated
		if end.Failed != "" {
			return x, api.Errorf(api.CodeInternal, "cannot run the cell: because the kernel says %.500q", end.Failed)
		}
		return x, cancelled(ctx)
	}
	x.Restarted, x.TimedOut, x.Reason = true, false, p.why()
	return x, k.revive(ctx)
}

// await waits for the end of a cell; nil means that the kernel did not survive.
func (k *Kernel) await(ctx context.Context, p *program, call *kernel.Call, timeout time.Duration) (end *kernel.Event, timedOut bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	late := "its cell was cancelled"
	select {
	case e := <-call.Done():
		return &e, false
	case <-p.gone:
		return lastEvent(call), false
	case <-timer.C:
		timedOut, late = true, fmt.Sprintf("its cell reached the timeout of %s", timeout)
	case <-ctx.Done():
	}
	p.interrupt(context.WithoutCancel(ctx))
	grace := time.NewTimer(k.o.Grace)
	defer grace.Stop()
	select {
	case e := <-call.Done():
		return &e, timedOut
	case <-p.gone:
	case <-grace.C:
		p.kill(ctx, fmt.Sprintf("the kernel was killed: %s and did not end within %s after it was interrupted", late, k.o.Grace))
	}
	return lastEvent(call), timedOut
}

// lastEvent is the end of a cell whose kernel ended right after it.
func lastEvent(call *kernel.Call) *kernel.Event {
	select {
	case e := <-call.Done():
		return &e
	default:
		return nil
	}
}

// revive starts a new kernel in the place of one that is gone.
func (k *Kernel) revive(ctx context.Context) error {
	select {
	case <-k.done:
		return k.errClosed()
	case <-k.s.Done():
		reason, detail := k.s.Ended()
		return api.Errorf(api.CodeConflict, "cannot go on with the session %.40q: because its sandbox has ended (%s %s)", k.o.ID, reason, detail)
	default:
	}
	if err := cancelled(ctx); err != nil {
		return err // the next cell starts one
	}
	return k.launch(ctx)
}

func cancelled(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return api.Errorf(api.CodeCancelled, "cannot finish the cell: because its caller went away: %w", context.Cause(ctx))
}

func ended(p *program) bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}
