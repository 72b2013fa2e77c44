package interpreter

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// lastWords is how much is kept of what a kernel says outside of frames: the
// interpreter's own report of a crash.
const lastWords = 2000

// program is one run of a kernel. A goroutine waits for its end until gone is
// closed.
type program struct {
	conn   *kernel.Conn
	ctx    context.Context // the program's; its end kills it
	cancel context.CancelFunc
	proc   host.Process
	gone   chan struct{} // closed when it has ended and res is set

	mu     sync.Mutex
	words  []byte // the first of what it said outside of frames
	reason string // why it was killed, if we did

	res api.ExecResult
	err error
}

func newProgram(ctx context.Context) *program {
	p := &program{conn: kernel.NewConn(), gone: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx)) // it outlives the call that starts it
	return p
}

// begin starts it by start, and what waits for its end.
func (p *program) begin(start func(context.Context, host.Stdio) (host.Process, error)) error {
	proc, err := start(p.ctx, host.Stdio{Stdin: p.conn.In, Stdout: p.conn, Stderr: p})
	if err != nil {
		p.cancel()
		p.conn.Close(err)
		return err
	}
	p.proc = proc
	go func() {
		p.res, p.err = proc.Wait()
		p.conn.Close(fmt.Errorf("the kernel has ended"))
		p.cancel()
		close(p.gone)
	}()
	return nil
}

// Write takes what the kernel says outside of frames.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if room := lastWords - len(p.words); room > 0 {
		p.words = append(p.words, b[:min(room, len(b))]...)
	}
	return len(b), nil
}

// interrupt asks the cell that runs to end. What a signal cannot reach, the
// caller's patience ends.
func (p *program) interrupt(ctx context.Context) {
	_ = p.proc.Signal(ctx, syscall.SIGINT, false)
}

// kill ends it with all that it started, and waits for that. The first reason is
// kept; "" leaves it open.
func (p *program) kill(ctx context.Context, reason string) {
	p.mu.Lock()
	if p.reason == "" {
		p.reason = reason
	}
	p.mu.Unlock()
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer done()
	_ = p.proc.Signal(ctx, syscall.SIGKILL, true) // a program that is gone needs none
	select {
	case <-p.gone:
	case <-time.After(killTimeout):
		p.cancel() // the sandbox's own way, which may end the sandbox
		<-p.gone
	}
}

// why says how it ended; valid after gone.
func (p *program) why() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason != "" {
		return p.reason
	}
	if err := p.conn.Err(); err != nil && strings.Contains(err.Error(), "protocol") {
		return err.Error()
	}
	said := ""
	if line, _, _ := strings.Cut(strings.TrimSpace(string(p.words)), "\n"); line != "" {
		said = fmt.Sprintf(" (%.200q)", line)
	}
	switch {
	case p.err != nil:
		return fmt.Sprintf("the kernel was lost: %v", p.err)
	case p.res.Verdict == api.OOM:
		return "the kernel ran out of memory" + said
	case p.res.Signal != "":
		return "the kernel was ended by " + p.res.Signal + said
	case p.res.ExitCode != nil:
		return fmt.Sprintf("the kernel ended with exit code %d%s", *p.res.ExitCode, said)
	}
	return fmt.Sprintf("the kernel ended: %s%s", p.res.Verdict, said)
}
