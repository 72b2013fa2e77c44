package fake

import (
	"slices"
	"syscall"

	"github.com/brigdev/brig/internal/guest"
)

// programOf is the program that listens to a stream, or nil.
func (a *agent) programOf(stream uint32) *program {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.programs {
		if p.outlet.attached && p.outlet.stream == stream {
			return p
		}
	}
	return nil
}

// attach gives a program that START detached to a stream.
func (a *agent) attach(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	pid := int(r.U32())
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.programs[pid]
	if r.Err != nil || p == nil || p.outlet.attached {
		a.refuse(f.Stream, syscall.ESRCH)
		return
	}
	p.outlet = outlet{stream: f.Stream, attached: true, credit: guest.OutputWindow}
	a.send(guest.TypeStarted, f.Stream, guest.Fields(nil).U32(uint32(pid)))
	a.send(guest.TypeWindow, f.Stream, guest.Fields(nil).U32(uint32(p.in.room())))
	a.change.Broadcast()
}

// signal ends a program, and with tree what it left behind as well.
func (a *agent) signal(p *program, sig syscall.Signal, tree bool) {
	p.kill(signalled(sig))
	a.mu.Lock()
	defer a.mu.Unlock()
	for pid, owner := range a.daemons {
		if tree && owner == p {
			delete(a.daemons, pid)
		}
	}
}

// daemon leaves a process of p behind.
func (a *agent) daemon(p *program) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pids++
	a.daemons[a.pids] = p
	return a.pids
}

// find says whether a process runs, and ends it if it is to stop.
func (a *agent) find(pid int, stop bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, d := a.programs[pid], a.daemons[pid]
	if p == nil && d == nil || p != nil && p.ctx.Err() != nil {
		return syscall.ESRCH
	}
	if stop && p != nil {
		p.kill(signalled(syscall.SIGTERM))
	}
	if stop {
		delete(a.daemons, pid)
	}
	return nil
}

func (a *agent) host() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hostname
}

// still describes the programs for a snapshot, and says whether they are quiet:
// there is none, or FREEZE has silenced them.
func (a *agent) still() (programs []frozen, quiet bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for pid, p := range a.programs {
		if p.ctx.Err() == nil {
			programs = append(programs, frozen{PID: pid, Req: p.req, Warm: p.warm})
		}
	}
	slices.SortFunc(programs, func(x, y frozen) int { return x.PID - y.PID })
	return programs, a.frozen || len(a.programs) == 0
}

// resume starts the programs of a snapshot again, upon the first START; nobody
// listens to them yet.
func (a *agent) resume() {
	programs := a.box.state.programs
	a.box.state.programs = nil
	for _, f := range programs {
		a.mu.Lock()
		a.pids = max(a.pids, f.PID)
		a.mu.Unlock()
		a.begin(a.newProgram(f.PID, f.Req, f.Warm))
	}
}
