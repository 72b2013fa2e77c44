package control

import (
	"context"
	"sync"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
)

const (
	defaultSlack = 15 * time.Second
	maxSlack     = time.Hour
)

// leash ends a program that belongs to who reads its output, when nobody has read
// for some time: a connection may break and come back.
type leash struct {
	of    *process
	slack time.Duration
	ctx   context.Context // of the service

	mu      sync.Mutex
	readers int
	timer   *time.Timer // nil while somebody reads
}

// hold says that somebody reads, until release. A nil leash holds nothing.
func (l *leash) hold() (release func()) {
	if l == nil {
		return func() {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readers++
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.readers--; l.readers == 0 && l.of.running() {
			l.timer = time.AfterFunc(l.slack, func() { l.of.endUnread(l.ctx) })
		}
	}
}

// StreamProcess starts a program for a reader that is about to come, with
// ResumeProcess. Nothing of what it prints is dropped before it was read. When no
// reader is there for the given seconds, nil meaning 15, it is killed with all that
// it started.
func (sb *Sandbox) StreamProcess(ctx context.Context, req api.ExecRequest, resumeSeconds *float64) (api.Process, error) {
	slack := defaultSlack
	if resumeSeconds != nil {
		slack = seconds(*resumeSeconds)
		if *resumeSeconds < 0 || slack > maxSlack {
			return api.Process{}, api.Errorf(api.CodeInvalid, "cannot wait %g seconds for a lost connection: because the range is 0 to %g", *resumeSeconds, maxSlack.Seconds()).
				WithFix("leave resume_seconds out, or start a background process")
		}
	}
	info, err := sb.LaunchProcess(ctx, req, ProcessOptions{Hold: true})
	if err != nil {
		return info, err
	}
	p, err := sb.process(info.ID)
	if err != nil {
		return info, err
	}
	p.mu.Lock()
	p.leash = &leash{of: p, slack: slack, ctx: sb.svc.ctx}
	p.mu.Unlock()
	return info, nil
}

// endUnread kills a program that nobody reads any more; one that has ended stays
// as it is.
func (p *process) endUnread(ctx context.Context) {
	if proc, _ := p.now(); p.running() {
		_ = proc.Signal(ctx, syscall.SIGKILL, true) // its sandbox is gone if this fails
	}
}

// ResumeProcess gives the output of one from offset on, until its end or that of
// ctx. The program waits for give, as AttachProcess says.
func (sb *Sandbox) ResumeProcess(ctx context.Context, id string, offset int64, give func(Chunk) error) error {
	p, err := sb.process(id)
	if err != nil {
		return err
	}
	p.mu.Lock()
	l := p.leash
	p.mu.Unlock()
	release := l.hold()
	defer release()
	return p.out.follow(ctx, offset, true, true, give)
}
