// Package interpreter runs code cells: sessions in which cells share state, in a
// sandbox. A session is a kernel (internal/interpreter/kernel), a long-lived
// program of the sandbox; here is the host's side of it: limits, timeouts,
// restarts, and taking a kernel up again after a restore.
package interpreter

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// How long things may take that no caller sets.
const (
	startTimeout  = 60 * time.Second // until a kernel waits for its first cell
	resumeTimeout = 15 * time.Second // until one from a snapshot has confirmed
	killTimeout   = 10 * time.Second // until a kernel that was killed is gone
	// busyPatience is how long the cell that ran at a snapshot has to end by itself.
	busyPatience = 50 * time.Millisecond
	programTime  = 7 * 24 * time.Hour
)

// Options are of one session. All have defaults.
type Options struct {
	ID  string            // default: 20 random letters and digits
	Cwd string            // where cells start; default api.WorkDir
	Env map[string]string // of all cells, on top of the sandbox's
	// Grace is how long an interrupted cell may take to end before its kernel is
	// killed; default 2 s.
	Grace time.Duration
}

func (o Options) withDefaults() Options {
	if o.ID == "" {
		o.ID = strings.ToLower(rand.Text()[:20])
	}
	if o.Cwd == "" {
		o.Cwd = api.WorkDir
	}
	if o.Grace == 0 {
		o.Grace = 2 * time.Second
	}
	return o
}

// Open starts a session with an empty kernel. Errors: CodeInvalid (there is no
// such language), CodeUnavailable (the sandbox has no interpreter of it).
func Open(ctx context.Context, s host.Session, language string, o Options) (*Kernel, error) {
	language, err := kernel.Language(language)
	if err != nil {
		return nil, err
	}
	k := newKernel(s, language, o.withDefaults())
	if err := k.launch(ctx); err != nil {
		k.shut()
		return nil, err
	}
	return k, nil
}

// Resume takes up a session of the snapshot that s was restored from: its kernel
// gets new entropy and o's environment, and confirms that, or Resume fails. A cell
// that ran in the snapshot is interrupted. Where that does not end it, or the kernel
// had died by then, the session begins anew. The reference's id counts; o.Cwd moves
// it to another directory.
func Resume(ctx context.Context, s host.Session, ref api.KernelRef, o Options) (*Kernel, error) {
	language, err := kernel.Language(ref.Language)
	if err != nil {
		return nil, err
	}
	enter := o.Cwd
	o.ID, o.Cwd = ref.ID, cmp.Or(o.Cwd, ref.Cwd)
	k := newKernel(s, language, o.withDefaults())
	lost, err := k.attach(ctx, ref, enter)
	if lost {
		err = k.launch(ctx)
	}
	if err != nil {
		k.shut()
		return nil, fmt.Errorf("cannot take up the session %.40q after a restore: %w", ref.ID, err)
	}
	return k, nil
}

// spec is how a kernel is started: its cells have limits, it has none of its own.
func (k *Kernel) spec() api.ExecSpec {
	return api.ExecSpec{
		Argv: kernel.Argv(k.language), Cwd: k.o.Cwd, Env: maps.Clone(k.o.Env), Keep: true,
		Timeout: programTime, OutputBytes: math.MaxInt64,
	}
}

// launch starts a new, empty kernel and waits until it is ready.
func (k *Kernel) launch(ctx context.Context) error {
	p := newProgram(ctx)
	err := p.begin(func(ctx context.Context, io host.Stdio) (host.Process, error) {
		return k.s.Start(ctx, k.spec(), io)
	})
	if err != nil {
		return k.cannotStart(err)
	}
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	select {
	case <-p.conn.Ready():
		k.use(p)
		return nil
	case <-p.gone:
		return k.cannotStart(errors.New(p.why()))
	case <-late.C:
		err = fmt.Errorf("it was not ready within %s", startTimeout)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.kill(ctx, "")
	return k.cannotStart(err)
}

func (k *Kernel) cannotStart(err error) error {
	var e *api.Error
	if errors.As(err, &e) && e.Code != api.CodeInternal && e.Code != api.CodeNotFound {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return api.Errorf(api.CodeCancelled, "cannot start the %s kernel: %w", k.language, err)
	}
	return api.Errorf(api.CodeUnavailable, "cannot start the %s kernel: because %w", k.language, err).
		WithFix("use a template that has the interpreter, such as code-interpreter")
}

// attach takes up the kernel that came with a snapshot, and moves it to the
// directory enter unless that is "". lost says that there is none, or that its cell
// would not end.
func (k *Kernel) attach(ctx context.Context, ref api.KernelRef, enter string) (lost bool, err error) {
	p := newProgram(ctx)
	l := k.s.Info().Limits
	request := p.conn.Sync(kernel.Request{Op: kernel.OpResume, Seed: entropy(), Env: k.o.Env, Cwd: enter, PIDs: l.PIDs, OpenFiles: l.OpenFiles})
	err = p.begin(func(ctx context.Context, io host.Stdio) (host.Process, error) {
		return k.s.Attach(ctx, ref.PID, k.spec(), io)
	})
	if err != nil {
		return api.CodeOf(err) == api.CodeNotFound, err
	}
	patience, limit := k.o.Grace, resumeTimeout
	if ref.Busy {
		patience, limit = busyPatience, busyPatience+k.o.Grace
	}
	within, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not confirm within %s", limit))
	defer cancel()
	// Only a cell that runs keeps a kernel from answering. The signal would also
	// reach what earlier cells left running: it is for a kernel that was busy.
	busy := time.AfterFunc(patience, func() { p.interrupt(within) })
	defer busy.Stop()
	if _, err := p.conn.Do(within, request); err != nil {
		p.kill(ctx, "")
		return ref.Busy && ctx.Err() == nil, api.Errorf(api.CodeInternal, "cannot resume its kernel: because %w", err).WithFix("restore again, or start a new session")
	}
	k.use(p)
	return false, nil
}

func entropy() string {
	var seed [64]byte
	rand.Read(seed[:]) // never fails
	return hex.EncodeToString(seed[:])
}
