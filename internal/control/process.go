package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

const (
	maxProcesses     = 64      // that are remembered for one sandbox
	maxProcessOutput = 1 << 20 // bytes that are kept for one process
)

// process is a program that runs in the background.
type process struct {
	info  api.Process
	out   *outputRing
	in    *feed // nil when its stdin was given with the request
	proc  *Running
	ended chan struct{}

	mu     sync.Mutex
	result *api.ExecResponse
}

// processes are those of one sandbox.
type processes struct {
	mu   sync.Mutex
	byID map[string]*process
	work sync.WaitGroup
}

func (p *processes) init() { p.byID = map[string]*process{} }

// wait returns when all programs have ended; their box is gone by then.
func (p *processes) wait() { p.work.Wait() }

// StartProcess starts a program that runs on after the call. Its newest output is
// kept. With openStdin its stdin is what WriteProcess brings.
func (sb *Sandbox) StartProcess(ctx context.Context, req api.ExecRequest, openStdin bool) (api.Process, error) {
	p := &process{out: newOutputRing(maxProcessOutput), ended: make(chan struct{})}
	stdin, err := stdinOf(req)
	if err != nil {
		return api.Process{}, err
	}
	if openStdin {
		p.in = newFeed(p.ended)
		stdin = p.in
	}
	if err := ctx.Err(); err != nil {
		return api.Process{}, api.Errorf(api.CodeCancelled, "cannot start: because the caller went away")
	}
	if err := sb.procs.room(); err != nil {
		return api.Process{}, err
	}
	// The program belongs to the Service, not to the call that starts it.
	p.proc, err = sb.Start(sb.svc.ctx, req, host.Stdio{Stdin: stdin, Stdout: p.out.writer("stdout"), Stderr: p.out.writer("stderr")})
	if err != nil {
		return api.Process{}, err
	}
	argv := req.Argv
	if req.Cmd != "" {
		argv = []string{"sh", "-c", req.Cmd}
	}
	p.info = api.Process{
		ID: "p-" + strings.ToLower(rand.Text()[:10]), PID: p.proc.PID(), Argv: argv, Cwd: req.Cwd,
		Tag: req.Tag, StartedAt: time.Now(), Running: true,
	}
	sb.procs.add(p)
	return p.describe(), nil
}

// room drops the process that ended first when there are too many.
func (p *processes) room() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byID) < maxProcesses {
		return nil
	}
	for _, old := range slices.SortedFunc(mapValues(p.byID), func(a, b *process) int { return a.info.StartedAt.Compare(b.info.StartedAt) }) {
		if !old.running() {
			delete(p.byID, old.info.ID)
			return nil
		}
	}
	return api.Errorf(api.CodeExhausted, "cannot start a process: because %d run in this sandbox", maxProcesses).WithFix("end one of them")
}

func mapValues[K comparable, V any](m map[K]V) func(func(V) bool) {
	return func(yield func(V) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// add remembers p and waits for its end.
func (p *processes) add(started *process) {
	p.mu.Lock()
	p.byID[started.info.ID] = started
	p.mu.Unlock()
	p.work.Go(func() {
		result, err := started.proc.Wait()
		if err != nil {
			result = api.ExecResponse{Verdict: api.Infra, ExitCode: 125, Evidence: api.Evidence{Reason: clip(err.Error(), 300)}}
		}
		started.mu.Lock()
		started.result = &result
		started.mu.Unlock()
		started.out.finish()
		close(started.ended)
	})
}

func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result == nil
}

func (p *process) describe() api.Process {
	info := p.info
	p.mu.Lock()
	info.Result, info.Running = p.result, p.result == nil
	p.mu.Unlock()
	info.OutputStart, info.OutputBytes = p.out.span()
	return info
}

// Processes lists the background programs, the oldest first.
func (sb *Sandbox) Processes() []api.Process {
	sb.procs.mu.Lock()
	defer sb.procs.mu.Unlock()
	list := []api.Process{}
	for _, p := range sb.procs.byID {
		list = append(list, p.describe())
	}
	slices.SortFunc(list, func(a, b api.Process) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
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
	p, err := sb.process(id)
	if err != nil {
		return err
	}
	if !p.running() {
		return api.Errorf(api.CodeConflict, "cannot signal process %s: because it has ended", id).WithFix("look at its result")
	}
	return p.proc.Signal(ctx, sig, tree)
}

// ResizeProcess changes the size of one's terminal.
func (sb *Sandbox) ResizeProcess(ctx context.Context, id string, t api.Terminal) error {
	p, err := sb.process(id)
	if err != nil {
		return err
	}
	return p.proc.Resize(ctx, t)
}

// WriteProcess passes r on to one's stdin; eof closes it afterwards.
func (sb *Sandbox) WriteProcess(ctx context.Context, id string, r io.Reader, eof bool) error {
	p, err := sb.process(id)
	if err != nil {
		return err
	}
	if p.in == nil {
		return api.Errorf(api.CodeConflict, "cannot write to process %s: because it was started without an open stdin", id).
			WithFix("start it with open_stdin")
	}
	return p.in.copyFrom(ctx, r, eof)
}

// FollowProcess gives one's output from offset on, until its end or that of ctx.
// What is no longer kept is skipped, which the chunks' offsets tell. Without
// follow it returns when it has given what there is.
func (sb *Sandbox) FollowProcess(ctx context.Context, id string, offset int64, follow bool, give func(Chunk) error) error {
	p, err := sb.process(id)
	if err != nil {
		return err
	}
	return p.out.follow(ctx, offset, follow, give)
}

// follow gives chunks until the ring is finished, or ctx.
func (r *outputRing) follow(ctx context.Context, offset int64, wait bool, give func(Chunk) error) error {
	for {
		got := r.read(offset)
		for _, c := range got.chunks {
			if err := give(c); err != nil {
				return err
			}
		}
		if got.done || !wait {
			return nil
		}
		offset = got.next
		select {
		case <-got.more:
		case <-ctx.Done():
			return api.Errorf(api.CodeCancelled, "cannot follow the output: because the caller went away")
		}
	}
}
