package egress

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/netpolicy"
)

const (
	copyBuffer = 32 << 10
	// maxHandshakes bounds connections that are being decided and dialled.
	maxHandshakes = 128
	// lingerTimeout is how long the second half of a connection may be silent after
	// the first has ended.
	lingerTimeout = 2 * time.Minute
)

// serve takes the link into use.
func (g *Gateway) serve() error {
	dns, err := g.listenDNS()
	if err != nil {
		return err
	}
	g.begin()
	go g.serveDNS(dns)
	g.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(g.stack, 0, maxHandshakes, g.accept).HandlePacket)
	// Everything else than questions to us is dropped.
	g.stack.SetTransportProtocolHandler(udp.ProtocolNumber, func(id stack.TransportEndpointID, _ *stack.PacketBuffer) bool {
		g.report(api.EgressEvent{Kind: api.EgressPacket, Target: target(id), Reason: "it is UDP"})
		return true
	})
	return nil
}

// target is where the guest wanted to go.
func target(id stack.TransportEndpointID) netip.AddrPort {
	a, _ := netip.AddrFromSlice(id.LocalAddress.AsSlice())
	return netip.AddrPortFrom(a.Unmap(), id.LocalPort)
}

// accept handles one connection request, on a goroutine of the forwarder's. What
// is refused is refused at once: connect() fails inside.
func (g *Gateway) accept(r *tcp.ForwarderRequest) {
	if !g.begin() {
		r.Complete(false)
		return
	}
	defer g.work.Done()
	to := target(r.ID())
	if to.Addr() == gatewayAddr() {
		g.acceptOwn(r, to)
		return
	}
	policy := g.policy()
	d := policy.Connect(netpolicy.Target{Addr: to, Names: g.names.resolved(to.Addr()), Own: g.isOwn(to.Addr())})
	if d.Allowed {
		d = g.takeSlot(d)
	}
	if !d.Allowed {
		g.report(api.EgressEvent{Kind: api.EgressConnect, Target: to, Reason: d.Reason})
		r.Complete(true)
		return
	}
	defer func() { <-g.slots }()
	g.connect(r, to, d, policy)
}

// takeSlot holds a decision against the budgets. If it is still allowed, a token
// of slots is the caller's.
func (g *Gateway) takeSlot(d netpolicy.Decision) netpolicy.Decision {
	switch {
	case g.bytes.Load() >= g.policy().MaxBytes:
		return netpolicy.Decision{Reason: errBudget.Error()}
	case !g.rate.Allow():
		return netpolicy.Decision{Reason: "there are too many connections a second"}
	}
	select {
	case g.slots <- struct{}{}:
		return d
	default:
		return netpolicy.Decision{Reason: "there are too many connections"}
	}
}

// acceptOwn serves the gateway's own address: questions by TCP.
func (g *Gateway) acceptOwn(r *tcp.ForwarderRequest, to netip.AddrPort) {
	select {
	case g.asking <- struct{}{}:
		defer func() { <-g.asking }()
	default:
		r.Complete(true)
		return
	}
	if to.Port() != dnsPort {
		g.report(api.EgressEvent{Kind: api.EgressConnect, Target: to, Reason: "the gateway only answers DNS"})
		r.Complete(true)
		return
	}
	if in := g.handshake(r); in != nil {
		g.serveDNSConn(in)
		in.Close()
	}
}

// handshake completes the connection with the guest; nil when that failed. Close
// aborts it, from now until the caller closes it.
func (g *Gateway) handshake(r *tcp.ForwarderRequest) *guestConn {
	in := &guestConn{}
	in.release = g.hold(in.abort)
	ep, err := r.CreateEndpoint(&in.queue)
	r.Complete(err != nil)
	if err != nil {
		in.release()
		return nil
	}
	in.TCPConn = gonet.NewTCPConn(&in.queue, ep)
	in.ep.Store(&ep)
	return in
}

// guestConn is a connection with the guest, from its handshake on.
type guestConn struct {
	*gonet.TCPConn
	queue   waiter.Queue
	ep      atomic.Pointer[tcpip.Endpoint] // nil during the handshake
	release func()
}

// abort resets the connection and wakes who waits for it, if only for the end of
// its handshake. Close has to follow.
func (c *guestConn) abort() {
	if ep := c.ep.Load(); ep != nil {
		(*ep).Abort()
	}
	c.queue.Notify(waiter.EventErr | waiter.EventHUp | waiter.ReadableEvents | waiter.WritableEvents)
}

// Close ends the connection in good order, unless it was aborted.
func (c *guestConn) Close() error {
	c.release()
	return c.TCPConn.Close()
}

// connect dials the address that policy decided about, then completes the
// connection with the guest and copies until both directions are over.
func (g *Gateway) connect(r *tcp.ForwarderRequest, to netip.AddrPort, d netpolicy.Decision, policy *netpolicy.Policy) {
	event := api.EgressEvent{Kind: api.EgressConnect, Allowed: true, Target: to, Rule: d.Rule}
	if len(d.Names) == 1 {
		event.Name = d.Names[0]
	}
	ctx, cancel := context.WithTimeout(g.ctx, dialTimeout)
	out, err := g.opts.Dial(ctx, to)
	cancel()
	if err != nil {
		event.Reason = "it cannot be reached"
		g.report(event)
		r.Complete(true)
		return
	}
	defer out.Close()
	defer g.hold(func() { out.Close() })()
	in := g.handshake(r)
	if in == nil {
		return
	}
	defer in.Close()
	g.report(event)
	p := &pipe{g: g, in: in, out: out, to: to, names: d.Names, policy: policy}
	event.Kind, event.Reason = api.EgressClose, p.run()
	event.Sent, event.Got = p.sent.Load(), p.got.Load()
	g.report(event)
}
