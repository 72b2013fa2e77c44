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
	pid    int
	req    guest.ExecRequest
	script string
	found  bool // there is a script
	warm   bool // in the warm interpreter
	outlet outlet

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
	warm := req.Flags&guest.ExecWarm != 0
	if warm && !a.takeWarm() {
		a.refuse(f.Stream, syscall.ENODEV)
		return
	}
	a.mu.Lock()
	a.pids++
	pid, many := a.pids, len(a.programs) >= maxPrograms
	a.mu.Unlock()
	if many {
		a.refuse(f.Stream, syscall.EBUSY)
		return
	}
	p := a.newProgram(pid, req, warm)
	p.outlet = outlet{stream: f.Stream, attached: true, credit: guest.OutputWindow}
	if req.Flags&guest.ExecWarmStart == 0 {
		a.send(guest.TypeStarted, f.Stream, guest.Fields(nil).U32(uint32(pid)))
	}
	a.begin(p)
}

// maxPrograms is how many may run at a time, as in the real agent.
const maxPrograms = 128

func (a *agent) newProgram(pid int, req guest.ExecRequest, warm bool) *program {
	p := &program{a: a, pid: pid, req: req, warm: warm, in: newInput(), tasks: 1, finished: make(chan struct{})}
	p.script, p.found = p.find()
	p.ctx, p.kill = context.WithCancelCause(a.box.ctx)
	return p
}

// begin runs a program on a goroutine of its own.
func (a *agent) begin(p *program) {
	a.mu.Lock()
	a.programs[p.pid] = p
	a.mu.Unlock()
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

// run runs a program to its EXIT.
func (p *program) run() {
	defer close(p.finished)
	defer p.kill(nil)
	defer context.AfterFunc(p.ctx, p.in.close)()
	defer context.AfterFunc(p.ctx, p.a.wake)()
	if p.req.Flags&guest.ExecWarmStart != 0 {
		p.warmUp()
		return
	}
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
	stream := p.stream()
	p.retire()
	p.a.send(guest.TypeStarted, stream, guest.Fields(nil).U32(uint32(p.pid)))
}

// retire forgets the program: what the host still sends it is dropped. It comes
// before the last frame, because the host may act on that at once.
func (p *program) retire() {
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	delete(p.a.programs, p.pid)
}

func (p *program) exit(st status) {
	stream, listens := p.last()
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
	if listens {
		p.a.send(guest.TypeExit, stream, report.Encode())
	}
}

// toProgram passes a frame on to the program whose stream it is.
func (a *agent) toProgram(f guest.Frame) {
	p := a.programOf(f.Stream)
	r := guest.NewReader(f.Payload)
	switch {
	case p == nil || f.Type == guest.TypeHangUp:
		// It has just ended.
	case f.Type == guest.TypeStdin:
		p.in.add(f.Payload)
	case f.Type == guest.TypeStdinEOF:
		p.in.close()
	case f.Type == guest.TypeWindow:
		p.allow(int(r.U32()))
	case f.Type == guest.TypeResize:
		p.resize(r.U32(), r.U32())
	default:
		sig, tree := r.U32(), r.U32()
		if sig > 0 && sig < 65 {
			a.signal(p, syscall.Signal(sig), tree == 1)
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
	clear(a.daemons)
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

// room is how much more input it takes.
func (in *input) room() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return guest.InitialWindow - len(in.data)
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
