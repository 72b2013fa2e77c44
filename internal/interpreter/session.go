package interpreter

import (
	"context"
	"sync"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// Kernel is a session: state that cells share, and the program that holds it. Its
// methods may be called concurrently; cells run one at a time, in their order.
type Kernel struct {
	s        host.Session
	language string
	o        Options
	turn     chan struct{} // holds a token while a cell runs
	done     chan struct{} // closed by Close

	mu     sync.Mutex
	p      *program // the newest; nil before the first
	count  int      // of the last cell
	closed bool
}

func newKernel(s host.Session, language string, o Options) *Kernel {
	return &Kernel{s: s, language: language, o: o, turn: make(chan struct{}, 1), done: make(chan struct{})}
}

// use makes p the session's program. The state that cells shared is p's.
func (k *Kernel) use(p *program) {
	k.mu.Lock()
	k.p, k.count = p, 0
	closed := k.closed
	k.mu.Unlock()
	if closed { // meanwhile
		p.kill(p.ctx, "the session was closed")
	}
}

func (k *Kernel) current() *program {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.p
}

// Language is the session's: "python" or "javascript".
func (k *Kernel) Language() string { return k.language }

// Ref names the session, to be taken up after a restore of a snapshot.
func (k *Kernel) Ref() api.KernelRef {
	ref := api.KernelRef{ID: k.o.ID, Language: k.language, Cwd: k.o.Cwd, Busy: len(k.turn) > 0}
	if p := k.current(); p != nil {
		ref.PID = p.proc.PID()
	}
	return ref
}

// Done is closed when the session was closed.
func (k *Kernel) Done() <-chan struct{} { return k.done }

// take waits for the session's turn. What it returns gives the turn back.
func (k *Kernel) take(ctx context.Context) (func(), error) {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, api.Errorf(api.CodeCancelled, "cannot run a cell: because its turn did not come: %w", context.Cause(ctx))
	case <-k.done:
		return nil, k.errClosed()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		<-k.turn
		return nil, k.errClosed()
	}
	return func() { <-k.turn }, nil
}

func (k *Kernel) errClosed() error {
	return api.Errorf(api.CodeConflict, "cannot use the session %.40q: because it was closed", k.o.ID).WithFix("open a new one")
}

// Interrupt ends the cell that runs, as its timeout would; without one it does
// nothing.
func (k *Kernel) Interrupt(ctx context.Context) error {
	if p := k.current(); p != nil {
		p.interrupt(ctx)
	}
	return nil
}

// Restart replaces the kernel by an empty one. A cell that runs ends as Restarted.
func (k *Kernel) Restart(ctx context.Context) error {
	old := k.current()
	old.kill(ctx, "the session was restarted")
	release, err := k.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	if k.current() != old {
		return nil // the cell that lost its kernel has started a new one
	}
	return k.launch(ctx)
}

// Close ends the session and its kernel. Idempotent; it returns when the kernel is
// gone.
func (k *Kernel) Close(ctx context.Context) error {
	p := k.shut()
	if p != nil {
		p.kill(ctx, "the session was closed")
	}
	return nil
}

// shut makes the session unusable.
func (k *Kernel) shut() *program {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.closed = true
		close(k.done)
	}
	return k.p
}
