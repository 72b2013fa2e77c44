package fake

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/brigdev/brig/internal/guest"
)

// link is a connection to a port, or a watch of directories; the agent's mutex
// guards its credit.
type link struct {
	a      *agent
	stream uint32
	credit int
	in     *input
	watch  *watcher // of a watch
	ctx    context.Context
	cancel context.CancelFunc
}

// maxLinks is how many there may be at a time, as in the real agent.
const maxLinks = 256

// newLink makes room for a stream's link; nil when there are too many.
func (a *agent) newLink(stream uint32) *link {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.links) >= maxLinks {
		return nil
	}
	l := &link{a: a, stream: stream, credit: guest.OutputWindow, in: newInput()}
	l.ctx, l.cancel = context.WithCancel(a.box.ctx)
	a.links[stream] = l
	context.AfterFunc(l.ctx, func() {
		l.in.close()
		a.wake()
	})
	return l
}

func (a *agent) linkOf(stream uint32) *link {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.links[stream]
}

// close forgets a link; with tell the host hears so, if it was there. Nothing is said
// on its stream afterwards.
func (l *link) close(tell bool) {
	a := l.a
	a.mu.Lock()
	if a.links[l.stream] == l {
		delete(a.links, l.stream)
		if tell {
			a.send(guest.TypeEnd, l.stream, nil)
		}
	}
	a.mu.Unlock()
	l.cancel()
	if l.watch != nil {
		a.box.state.files.unwatch(l.watch)
	}
}

// dropLinks is for START: who made them is gone.
func (a *agent) dropLinks() {
	a.mu.Lock()
	all := make([]*link, 0, len(a.links))
	for _, l := range a.links {
		all = append(all, l)
	}
	a.mu.Unlock()
	for _, l := range all {
		l.close(false)
	}
}

// take deals with a frame of the host's.
func (l *link) take(f guest.Frame) {
	switch f.Type {
	case guest.TypeStdin:
		l.in.add(f.Payload)
	case guest.TypeStdinEOF:
		l.in.close()
	case guest.TypeWindow:
		r := guest.NewReader(f.Payload)
		l.a.mu.Lock()
		l.credit += int(r.U32())
		l.a.change.Broadcast()
		l.a.mu.Unlock()
	case guest.TypeHangUp:
		l.close(true)
	}
}

// say sends b, as the host has room for it; false when the link is over.
func (l *link) say(b []byte) bool {
	a := l.a
	for first := true; len(b) > 0 || first; first = false {
		a.mu.Lock()
		for l.ctx.Err() == nil && (a.frozen || l.credit <= guest.OutputCost) {
			a.change.Wait()
		}
		over := l.ctx.Err() != nil || a.links[l.stream] != l
		if !over {
			n := min(len(b), guest.MaxData, l.credit-guest.OutputCost)
			l.credit -= n + guest.OutputCost
			a.send(guest.TypeStdout, l.stream, b[:n])
			b = b[n:]
		}
		a.mu.Unlock()
		if over {
			return false
		}
	}
	return true
}

// dial connects the host to what a program serves on a port.
func (a *agent) dial(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	a.mu.Lock()
	serve := a.ports[int(r.U32())]
	a.mu.Unlock()
	if r.Err != nil || serve == nil {
		a.refuse(f.Stream, syscall.ECONNREFUSED)
		return
	}
	l := a.newLink(f.Stream)
	if l == nil {
		a.refuse(f.Stream, syscall.EMFILE)
		return
	}
	a.send(guest.TypeStarted, f.Stream, guest.Fields(nil).U32(0))
	ours, theirs := newDuplex()
	a.box.work.Go(func() { serve(theirs) })
	heard := make(chan struct{})
	a.box.work.Go(func() {
		defer close(heard)
		l.pour(ours)
	})
	a.box.work.Go(func() {
		defer ours.Close()
		defer context.AfterFunc(l.ctx, func() { ours.Close() })()
		if l.hear(ours) {
			<-heard
			l.close(true)
		}
	})
}

// hear passes on what a server says, to its end.
func (l *link) hear(from io.Reader) bool {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !l.say(buf[:n]) {
			return false
		}
		if errors.Is(err, io.EOF) {
			return l.say(nil) // the peer's end
		}
		if err != nil {
			return false
		}
	}
}

// pour passes on what the host says. A server that takes no more has it thrown away.
func (l *link) pour(to *duplex) {
	for {
		b, err := l.in.take()
		if err != nil {
			_ = to.CloseWrite()
			return
		}
		_, _ = to.Write(b)
		l.a.mu.Lock()
		if l.a.links[l.stream] == l {
			l.a.send(guest.TypeWindow, l.stream, guest.Fields(nil).U32(uint32(len(b))))
		}
		l.a.mu.Unlock()
	}
}

// duplex is one end of a connection inside.
type duplex struct {
	net.Conn          // what comes
	out      net.Conn // what goes
}

func newDuplex() (a, b *duplex) {
	in, theirOut := net.Pipe()
	out, theirIn := net.Pipe()
	return &duplex{in, out}, &duplex{theirIn, theirOut}
}

func (d *duplex) Write(b []byte) (int, error) { return d.out.Write(b) }

// CloseWrite tells the other end that nothing more comes.
func (d *duplex) CloseWrite() error { return d.out.Close() }

func (d *duplex) Close() error {
	d.out.Close()
	return d.Conn.Close()
}
