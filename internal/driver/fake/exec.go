package fake

import (
	"context"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// program is one exec.
type program struct {
	a      *agent
	id     uint32
	req    guest.ExecRequest
	script string
	found  bool // there is a script
	warm   bool // in the warm interpreter

	ctx      context.Context // ended by a signal, a reset or the end of the box
	kill     context.CancelCauseFunc
	finished chan struct{}

	in    *input
	cpu   time.Duration
	mem   int64
	tasks uint32 // the most processes that it had at a time
}

// status is how a program ended, as wait(2) encodes it.
type status uint32

func exited(code int) status              { return status(code&0xff) << 8 }
func signalled(sig syscall.Signal) status { return status(sig) }

// Error lets a status be the cause of a program's context: its killer's word.
func (s status) Error() string { return "killed" }

func (a *agent) exec(f guest.Frame) {
	req, err := guest.DecodeExecRequest(f.Payload)
	if err != nil || len(req.Argv) == 0 {
		a.refuse(f.Stream, syscall.E2BIG)
		return
	}
	p := &program{a: a, id: f.Stream, req: req, in: newInput(), tasks: 1, finished: make(chan struct{})}
	if req.Flags&guest.ExecWarm != 0 {
		if !a.takeWarm() {
			a.refuse(f.Stream, syscall.ENODEV)
			return
		}
		p.warm = true
	}
	p.script, p.found = p.find()
	p.ctx, p.kill = context.WithCancelCause(a.box.ctx)
	a.mu.Lock()
	a.programs[p.id] = p
	a.mu.Unlock()
	a.box.enter()
	a.box.work.Go(p.run)
}

// takeWarm claims the warm interpreter for one program.
func (a *agent) takeWarm() bool {
	a.box.mu.Lock()
	defer a.box.mu.Unlock()
	ready := a.box.state.warm.Ready
	a.box.state.warm.Ready = false
	return ready
}

// run runs a program from STARTED to EXIT.
func (p *program) run() {
	defer close(p.finished)
	defer p.kill(nil)
	defer context.AfterFunc(p.ctx, p.in.close)()
	if p.req.Flags&guest.ExecWarmStart != 0 {
		p.warmUp()
		return
	}
	p.a.send(guest.TypeStarted, p.id, guest.Fields(nil).U32(p.id+2))
	p.exit(p.execute())
}

// warmUp is a warm start: the interpreter's own script, if there is one, stands
// for what it imports, and its failure ends it.
func (p *program) warmUp() {
	if p.found {
		if st := p.execute(); st != exited(0) {
			p.exit(st)
			return
		}
	}
	b := p.a.box
	b.mu.Lock()
	b.state.warm = warmth{Ready: true, Forks: p.req.Flags&guest.ExecFork != 0}
	b.mu.Unlock()
	p.retire()
	p.a.send(guest.TypeStarted, p.id, guest.Fields(nil).U32(p.id+2))
}

// retire forgets the program: what the host still sends it is dropped. It comes
// before the last frame, because the host may act on that at once.
func (p *program) retire() {
	p.a.box.leave()
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	delete(p.a.programs, p.id)
}

func (p *program) exit(st status) {
	p.retire()
	b := p.a.box
	b.mu.Lock()
	if p.warm && b.state.warm.Forks {
		b.state.warm.Ready = true
	}
	b.usage.MemoryBytes -= p.mem
	b.mu.Unlock()
	bytes, nodes := b.state.files.peaks()
	report := guest.ExitReport{
		Status: uint32(st), CPUMicros: uint64(p.cpu.Microseconds()),
		DiskPeak: uint64(bytes), DiskLimit: uint64(b.limits.DiskBytes),
		InodePeak: uint64(nodes), InodeLimit: maxNodes,
		TasksPeak: p.tasks,
	}
	p.a.send(guest.TypeExit, p.id, report.Encode())
}

// toProgram passes a frame on to the program whose stream it is.
func (a *agent) toProgram(f guest.Frame) {
	a.mu.Lock()
	p := a.programs[f.Stream]
	a.mu.Unlock()
	switch {
	case p == nil:
		// It has just ended.
	case f.Type == guest.TypeStdin:
		p.in.add(f.Payload)
	case f.Type == guest.TypeStdinEOF:
		p.in.close()
	default:
		r := guest.NewReader(f.Payload)
		if sig := r.U32(); sig > 0 && sig < 65 {
			p.kill(signalled(syscall.Signal(sig)))
		}
	}
}

// reset kills every program and empties the files. It runs beside serve,
// because a dying program may still have a frame to send.
func (a *agent) reset(f guest.Frame) {
	a.mu.Lock()
	dying := make([]*program, 0, len(a.programs))
	for _, p := range a.programs {
		dying = append(dying, p)
		p.kill(signalled(syscall.SIGKILL))
	}
	a.mu.Unlock()
	stream := f.Stream
	a.box.work.Go(func() {
		for _, p := range dying {
			<-p.finished
		}
		a.box.state.files.reset()
		a.send(guest.TypeOK, stream, nil)
	})
}

// charge adds processor time, and says whether the limit allows it.
func (p *program) charge(d time.Duration) bool {
	p.cpu += d
	p.a.box.charge(func(u *driver.Usage) { u.CPU += d })
	limit := time.Duration(p.req.CPUSeconds) * time.Second
	return limit == 0 || p.cpu < limit
}

// input is a program's standard input.
type input struct {
	mu     sync.Mutex
	more   *sync.Cond
	data   []byte
	closed bool
}

func newInput() *input {
	in := &input{}
	in.more = sync.NewCond(&in.mu)
	return in
}

func (in *input) add(b []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.data)+len(b) > guest.InitialWindow {
		b = b[:guest.InitialWindow-len(in.data)] // beyond the window: the host broke its word
	}
	in.data = append(in.data, b...)
	in.more.Broadcast()
}

func (in *input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.more.Broadcast()
}

// take waits for input and takes all that is there; io.EOF at its end.
func (in *input) take() ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.data) == 0 && !in.closed {
		in.more.Wait()
	}
	if len(in.data) == 0 {
		return nil, io.EOF
	}
	b := in.data
	in.data = nil
	return b, nil
}
