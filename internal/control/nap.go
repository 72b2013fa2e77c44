package control

import (
	"context"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// now is the program that a process is, and the stdin that it has.
func (p *process) now() (*Running, *feed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proc, p.in
}

// sleeps tells whether a program that has ended did so because its sandbox went to
// sleep: then it goes on when that wakes.
func (p *process) sleeps(result api.ExecResponse) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asleep && result.Verdict == api.Cancelled
}

// lieDown lets what runs sleep with its sandbox, whose box is about to go. What is
// left of its timeout stands still.
func (p *processes) lieDown() {
	for _, x := range p.all() {
		x.mu.Lock()
		if x.result == nil {
			x.asleep = true
			x.left -= time.Since(x.since)
		}
		x.mu.Unlock()
	}
}

// sleepers are the processes that sleep.
func (p *processes) sleepers() []*process {
	var list []*process
	for _, x := range p.all() {
		x.mu.Lock()
		if x.asleep {
			list = append(list, x)
		}
		x.mu.Unlock()
	}
	return list
}

// endSleepers is for a sandbox that will not wake.
func (p *processes) endSleepers() {
	for _, x := range p.sleepers() {
		p.end(x, api.ExecResponse{Verdict: api.Cancelled, ExitCode: 130, Evidence: api.Evidence{Reason: "the sandbox was destroyed"}})
	}
}

// takeUp has the processes that slept go on in the box that the sandbox woke in,
// which nobody uses yet. Who reads their output goes on reading.
func (sb *Sandbox) takeUp(box host.Session) {
	for _, p := range sb.procs.sleepers() {
		if err := sb.attach(p, box); err != nil {
			sb.svc.log.Warn("cannot take up a process", "id", sb.id, "process", p.info.ID, "error", err)
			sb.procs.end(p, api.ExecResponse{Verdict: api.Infra, ExitCode: 125, Evidence: api.Evidence{Reason: "it did not wake with its sandbox"}})
			continue
		}
		sb.procs.await(p)
	}
}

func (sb *Sandbox) attach(p *process, box host.Session) error {
	spec, err := specOf(p.req)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	spec.Timeout = max(p.left, time.Millisecond)
	stdio := sb.logged(p.req, host.Stdio{Stdout: p.out.writer("stdout"), Stderr: p.out.writer("stderr")})
	in := p.in
	if in != nil && !in.closed() {
		in = newFeed()
		stdio.Stdin = in
	}
	// The program belongs to the Service, not to the call that wakes it.
	proc, err := box.Attach(sb.svc.ctx, p.info.PID, spec, stdio)
	if err != nil {
		return err
	}
	sb.mu.Lock()
	sb.users++
	sb.mu.Unlock()
	p.proc = &Running{sb: sb, proc: proc, req: p.req, done: sb.doneUsing, box: box, gone: box.Done()}
	p.in, p.asleep, p.since = in, false, time.Now()
	p.out.endsWith(box.Done())
	return nil
}

// awake finds a process, and wakes its sandbox if it sleeps.
func (sb *Sandbox) awake(ctx context.Context, id string) (*process, error) {
	p, err := sb.process(id)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	asleep := p.asleep
	p.mu.Unlock()
	if !asleep {
		return p, nil
	}
	_, done, err := sb.use(ctx)
	if err != nil {
		return nil, err
	}
	done()
	return p, nil
}
