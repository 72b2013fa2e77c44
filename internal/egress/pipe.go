package egress

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/netpolicy"
)

// refusal is an error that is a decision: the connection is cut, and the text
// says why.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errBudget = refusal("the budget of bytes is spent")
	errPolicy = refusal("what the sandbox may reach was changed")
)

// pipe is one allowed connection: the guest's side and the server's.
type pipe struct {
	g     *Gateway
	in    guestSide
	out   net.Conn
	to    netip.AddrPort
	names []string // that it may be for; nil: any
	// policy is the one that let it through.
	policy *netpolicy.Policy

	sent, got atomic.Int64
	halfOver  atomic.Bool
}

// guestSide is a guestConn, but for tests.
type guestSide interface {
	net.Conn
	CloseWrite() error
	abort()
}

// run copies both ways until both are over, and says why it was cut, if it was.
func (p *pipe) run() string {
	ends := make(chan error, 2)
	go func() { ends <- p.up() }()
	go func() { ends <- p.down() }()
	err := <-ends
	if err == nil {
		p.halfOver.Store(true)
		deadline := time.Now().Add(lingerTimeout)
		_ = errors.Join(p.in.SetReadDeadline(deadline), p.out.SetReadDeadline(deadline)) // fails when it is over anyway
		if err = <-ends; err == nil {
			return ""
		}
		p.cut()
	} else {
		p.cut()
		<-ends
	}
	var why refusal
	if !errors.As(err, &why) {
		return ""
	}
	return why.Error()
}

// cut resets both sides.
func (p *pipe) cut() {
	p.in.abort()
	if tcp, ok := p.out.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	p.out.Close()
}

// up copies from the guest. What the guest says it wants is looked at first, when
// it was let through for a name. That the server does not listen any more is no
// error: it may still have something to say.
func (p *pipe) up() error {
	from := &tap{p: p, from: p.in, count: &p.sent}
	err := p.inspect(from)
	if from.err == nil && !isRefusal(err) {
		err = nil
	}
	if err == nil {
		closeWrite(p.out)
	}
	return err
}

// down copies from the server.
func (p *pipe) down() error {
	_, err := io.CopyBuffer(writer{p.in}, &tap{p: p, from: p.out, count: &p.got}, make([]byte, copyBuffer))
	if err == nil {
		err = p.in.CloseWrite()
	}
	return err
}

func isRefusal(err error) bool {
	var r refusal
	return errors.As(err, &r)
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // what is gone needs no end
	}
}

// writer hides that a connection can read by itself: all bytes go through a tap.
type writer struct{ io.Writer }

// tap reads from one side, and counts.
type tap struct {
	p     *pipe
	from  net.Conn
	count *atomic.Int64
	err   error // of reading, but for the end
}

func (t *tap) Read(b []byte) (int, error) {
	if t.p.halfOver.Load() {
		_ = t.from.SetReadDeadline(time.Now().Add(lingerTimeout)) // fails as Read will
	}
	n, err := t.from.Read(b)
	t.count.Add(int64(n))
	if t.p.g.bytes.Add(int64(n)) > t.p.g.policy().MaxBytes {
		n, err = 0, errBudget
	}
	if n > 0 && !t.p.stillAllowed() {
		n, err = 0, errPolicy
	}
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}

// stillAllowed asks again after the policy was changed. What the connection was let
// through for has to be enough: it was looked at when it began, and not since.
func (p *pipe) stillAllowed() bool {
	policy := p.g.policy()
	if policy == p.policy {
		return true
	}
	addr := p.to.Addr()
	d := policy.Connect(netpolicy.Target{Addr: p.to, Names: p.g.names.resolved(addr), Own: p.g.isOwn(addr)})
	if !d.Allowed || len(d.Names) == 0 {
		return d.Allowed
	}
	for _, name := range p.names {
		if !slices.Contains(d.Names, name) {
			return false
		}
	}
	return len(p.names) > 0
}

// refuse reports that the guest said something that it may not.
func (p *pipe) refuse(name string, why refusal) error {
	p.g.report(api.EgressEvent{Kind: api.EgressConnect, Target: p.to, Name: name, Reason: why.Error()})
	return why
}
