package control

import (
	"context"
	"io"
	"maps"
	"sync"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/host"
)

// process is a program that runs in the background.
type process struct {
	info  api.Process
	req   api.ExecRequest
	out   *outputLog
	ended chan struct{}
	file  bool // its output is in a file; guarded by processes.mu

	mu     sync.Mutex
	proc   *Running // of the box that the sandbox has, or had when it went to sleep
	in     *feed    // nil when its stdin was given with the request
	asleep bool     // with its sandbox
	since  time.Time
	left   time.Duration // of its timeout, since then
	result *api.ExecResponse
	leash  *leash // nil for one that nobody has to read
}

// Env is the environment that the sandbox was made with, below what each program
// asks for.
func (sb *Sandbox) Env() map[string]string { return maps.Clone(sb.record().Env) }

// ProcessOptions say how a background process is connected.
type ProcessOptions struct {
	// OpenStdin makes its stdin what WriteProcess brings.
	OpenStdin bool
	// Hold keeps all output for a reader that is about to attach: see AttachProcess.
	Hold bool
}

// StartProcess starts a program that runs on after the call. Its newest output is
// kept. With openStdin its stdin is what WriteProcess brings.
func (sb *Sandbox) StartProcess(ctx context.Context, req api.ExecRequest, openStdin bool) (api.Process, error) {
	return sb.LaunchProcess(ctx, req, ProcessOptions{OpenStdin: openStdin})
}

// LaunchProcess is StartProcess with more to say.
func (sb *Sandbox) LaunchProcess(ctx context.Context, req api.ExecRequest, opts ProcessOptions) (api.Process, error) {
	stdin, err := stdinOf(req)
	if err != nil {
		return api.Process{}, err
	}
	if err := ctx.Err(); err != nil {
		return api.Process{}, api.Errorf(api.CodeCancelled, "cannot start: because the caller went away")
	}
	if err := sb.procs.room(); err != nil {
		return api.Process{}, err
	}
	spec, err := specOf(req)
	if err != nil {
		return api.Process{}, err
	}
	p := &process{ended: make(chan struct{}), since: time.Now(), left: spec.Timeout}
	p.out = newOutputLog(func() (string, bool) { return sb.svc.cfg.Dir, sb.procs.takeFile(p) })
	if opts.OpenStdin {
		p.in = newFeed()
		stdin = p.in
	}
	if opts.Hold {
		p.out.hold()
	}
	// The program belongs to the Service, not to the call that starts it.
	p.proc, err = sb.Start(audit.With(sb.svc.ctx, audit.From(ctx)), req, host.Stdio{Stdin: stdin, Stdout: p.out.writer("stdout"), Stderr: p.out.writer("stderr")})
	if err != nil {
		return api.Process{}, err
	}
	p.out.endsWith(p.proc.gone)
	req.Stdin, req.StdinBase64 = "", ""
	p.req = req
	argv := req.Argv
	if req.Cmd != "" {
		argv = []string{"sh", "-c", req.Cmd}
	}
	p.info = api.Process{
		ID: newProcessID(), PID: p.proc.PID(), Argv: argv, Cwd: req.Cwd,
		Tag: req.Tag, StartedAt: time.Now(), Running: true,
	}
	sb.procs.add(p)
	return p.describe(), nil
}

// Processes lists the background programs, the oldest first.
func (sb *Sandbox) Processes() []api.Process {
	list := []api.Process{}
	for _, p := range sb.procs.all() {
		list = append(list, p.describe())
	}
	return list
}

// FindProcess gives the process with a pid, or with a tag when pid is 0; one that
// runs rather than one that has ended, and the newest.
func (sb *Sandbox) FindProcess(pid int, tag string) (api.Process, error) {
	var best *process
	for _, p := range sb.procs.all() {
		is := p.info.PID == pid
		if pid == 0 {
			is = tag != "" && p.info.Tag == tag
		}
		if is && (best == nil || p.running() || !best.running()) {
			best = p
		}
	}
	if best == nil {
		return api.Process{}, api.Errorf(api.CodeNotFound, "cannot find the process with pid %d or tag %.80q: because sandbox %s has none", pid, tag, sb.id).
			WithFix("list the processes")
	}
	return best.describe(), nil
}

// ProcessRequest is what one was started with, its stdin left out.
func (sb *Sandbox) ProcessRequest(id string) (api.ExecRequest, error) {
	p, err := sb.process(id)
	if err != nil {
		return api.ExecRequest{}, err
	}
	return p.req, nil
}

func (sb *Sandbox) process(id string) (*process, error) {
	sb.procs.mu.Lock()
	defer sb.procs.mu.Unlock()
	if p := sb.procs.byID[id]; p != nil {
		return p, nil
	}
	return nil, api.Errorf(api.CodeNotFound, "cannot find process %.80q: because sandbox %s has none", id, sb.id).
		WithFix("list them with GET /v1/sandboxes/%s/processes", sb.id)
}

// Process describes one.
func (sb *Sandbox) Process(id string) (api.Process, error) {
	p, err := sb.process(id)
	if err != nil {
		return api.Process{}, err
	}
	return p.describe(), nil
}

// WaitProcess waits for the end of one, or of ctx, and describes it.
func (sb *Sandbox) WaitProcess(ctx context.Context, id string) (api.Process, error) {
	p, err := sb.process(id)
	if err != nil {
		return api.Process{}, err
	}
	select {
	case <-p.ended:
		return p.describe(), nil
	case <-ctx.Done():
		return p.describe(), api.Errorf(api.CodeCancelled, "cannot wait for process %s: because the caller went away", id)
	}
}

// SignalProcess sends a signal to one, or with tree to all that it started.
func (sb *Sandbox) SignalProcess(ctx context.Context, id string, sig syscall.Signal, tree bool) error {
	p, err := sb.awake(ctx, id)
	if err != nil {
		return err
	}
	if !p.running() {
		return api.Errorf(api.CodeConflict, "cannot signal process %s: because it has ended", id).WithFix("look at its result")
	}
	proc, _ := p.now()
	return proc.Signal(ctx, sig, tree)
}

// ResizeProcess changes the size of one's terminal.
func (sb *Sandbox) ResizeProcess(ctx context.Context, id string, t api.Terminal) error {
	p, err := sb.awake(ctx, id)
	if err != nil {
		return err
	}
	proc, _ := p.now()
	return proc.Resize(ctx, t)
}

// WriteProcess passes r on to one's stdin; eof closes it afterwards.
func (sb *Sandbox) WriteProcess(ctx context.Context, id string, r io.Reader, eof bool) error {
	p, err := sb.awake(ctx, id)
	if err != nil {
		return err
	}
	_, in := p.now()
	if in == nil {
		return api.Errorf(api.CodeConflict, "cannot write to process %s: because it was started without an open stdin", id).
			WithFix("start it with open_stdin")
	}
	return in.copyFrom(ctx, r, eof)
}

// FollowProcess gives one's output from offset on, until its end or that of ctx.
// What is no longer kept is skipped, which the chunks' offsets tell. Without
// follow it returns when it has given what there is.
func (sb *Sandbox) FollowProcess(ctx context.Context, id string, offset int64, follow bool, give func(Chunk) error) error {
	p, err := sb.process(id)
	if err != nil {
		return err
	}
	return p.out.follow(ctx, offset, follow, false, give)
}

// AttachProcess gives all output that is kept of one and what comes, until its end
// or that of ctx. Nothing is skipped: the program waits for give, and for a minute
// more when that failed or ctx has ended, so that the reader can come back.
func (sb *Sandbox) AttachProcess(ctx context.Context, id string, give func(Chunk) error) error {
	p, err := sb.process(id)
	if err != nil {
		return err
	}
	return p.out.follow(ctx, 0, true, true, give)
}
