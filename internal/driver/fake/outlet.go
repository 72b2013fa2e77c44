package fake

import (
	"fmt"

	"github.com/brigdev/brig/internal/guest"
)

// outlet is where a program's words go; the agent's mutex guards it.
type outlet struct {
	stream   uint32
	attached bool // somebody listens
	credit   int  // bytes of output that the host takes
}

// say sends output, or throws it away when nobody listens and it need not be
// kept. It waits until one of that may happen, and says how much is done.
func (p *program) say(t guest.Type, s string) int {
	a := p.a
	a.mu.Lock()
	defer a.mu.Unlock()
	for p.ctx.Err() == nil {
		switch o := &p.outlet; {
		case a.frozen:
		case !o.attached && p.req.Flags&guest.ExecKeep == 0:
			return len(s)
		case o.attached && o.credit > guest.OutputCost:
			n := min(len(s), guest.MaxData, o.credit-guest.OutputCost)
			o.credit -= n + guest.OutputCost
			a.send(t, o.stream, []byte(s[:n]))
			return n
		}
		a.change.Wait()
	}
	return len(s)
}

// last waits until the program's end may be told, and says on which stream, if
// anybody wants to know.
func (p *program) last() (stream uint32, listens bool) {
	a := p.a
	a.mu.Lock()
	defer a.mu.Unlock()
	keep := p.req.Flags&guest.ExecKeep != 0
	for a.box.ctx.Err() == nil && (a.frozen || keep && !p.outlet.attached) {
		a.change.Wait()
	}
	return p.outlet.stream, p.outlet.attached
}

func (p *program) listener() (uint32, bool) {
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	return p.outlet.stream, p.outlet.attached
}

func (p *program) stream() uint32 {
	stream, _ := p.listener()
	return stream
}

// grant makes room for n bytes more of the program's input.
func (p *program) grant(n int) {
	if stream, ok := p.listener(); ok {
		p.a.send(guest.TypeWindow, stream, guest.Fields(nil).U32(uint32(n)))
	}
}

// allow is the host's word that it has taken n bytes of output.
func (p *program) allow(n int) {
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	p.outlet.credit += n
	p.a.change.Broadcast()
}

func (p *program) terminal() bool { return p.req.Flags&guest.ExecTerminal != 0 }

func (p *program) resize(rows, cols uint32) {
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	p.req.Rows, p.req.Cols = rows, cols
}

func (p *program) size() string {
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	return fmt.Sprintf("%d %d\n", p.req.Rows, p.req.Cols)
}
