// Package egress is the gateway that sandboxes reach the network through: a
// userspace TCP/IP stack in this process, at the other end of a sandbox's only
// link. Every connection is a goroutine here that asks internal/netpolicy, dials
// the very address that was checked and copies; every name is resolved here.
// Nothing exists in the host's kernel but a socket pair, and no privilege is
// needed.
//
// What comes over the link is hostile. All that is kept of it is bounded: frames,
// connections, bytes, lookups, remembered names, reports.
package egress

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/netpolicy"
)

// ResolvConf is what a guest's /etc/resolv.conf has to say, and ResolvConfPath
// where.
const (
	ResolvConf     = "nameserver 198.18.0.1\noptions timeout:5 attempts:2\n"
	ResolvConfPath = "/etc/resolv.conf"
)

const (
	dialTimeout = 15 * time.Second
	// kick is how often Close ends again what its last round came too early for.
	kick = 10 * time.Millisecond
	// connectRate and connectBurst bound new connections per second.
	connectRate, connectBurst = 200, 1000
)

// Options are a gateway's hands. Zero values mean this host's own.
type Options struct {
	// Resolve gives the IPv4 addresses of a name in checked spelling.
	Resolve func(ctx context.Context, name string) ([]netip.Addr, error)
	// Dial connects to exactly this address.
	Dial func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
	// Own lists the addresses of this host.
	Own func() []netip.Addr
	// Audit is called with each decision, on the goroutine that made it: it must
	// be quick, and may be called concurrently.
	Audit func(api.EgressEvent)
	Log   *slog.Logger // default: discard
}

// Gateway is the host's end of one sandbox's link. Close it after the box is
// gone; it may be closed before, too.
type Gateway struct {
	rules  atomic.Pointer[netpolicy.Policy]
	opts   Options
	wire   *wire
	stack  *stack.Stack
	ctx    context.Context
	cancel context.CancelFunc

	names   names
	reports reports
	lookups *rate.Limiter
	rate    *rate.Limiter
	asking  chan struct{} // holds a token for each lookup under way
	slots   chan struct{} // holds a token for each connection
	bytes   atomic.Int64  // sent and received

	mu     sync.Mutex
	closed bool
	ends   map[*func()]struct{} // how to end what is under way
	work   sync.WaitGroup       // grows only while not closed
	once   sync.Once
}

// Open makes a gateway, and the link that a box is given. The link's file is the
// caller's to close, as soon as the box has it.
func Open(p netpolicy.Policy, o Options) (*Gateway, *driver.Link, error) {
	ours, link, err := newLink()
	if err != nil {
		return nil, nil, api.Errorf(api.CodeInternal, "cannot make a network link: %w", err)
	}
	g := &Gateway{
		opts: o.withDefaults(), wire: ours,
		lookups: rate.NewLimiter(lookupRate, lookupBurst), rate: rate.NewLimiter(connectRate, connectBurst),
		asking: make(chan struct{}, maxAsking), slots: make(chan struct{}, p.MaxConns),
		ends: map[*func()]struct{}{},
	}
	g.rules.Store(&p)
	g.reports.limit = rate.NewLimiter(reportRate, reportBurst)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	if g.stack, err = newStack(ours, link); err == nil {
		err = g.serve()
	}
	if err == nil {
		ours.start()
	}
	if err != nil {
		link.File.Close()
		g.Close()
		return nil, nil, api.Errorf(api.CodeInternal, "cannot make a network gateway: %w", err)
	}
	return g, link, nil
}

// policy is what counts now.
func (g *Gateway) policy() *netpolicy.Policy { return g.rules.Load() }

// SetPolicy replaces what the sandbox may reach, but for the number of
// connections. Nothing more passes in a connection that is not allowed any more.
func (g *Gateway) SetPolicy(p netpolicy.Policy) { g.rules.Store(&p) }

func (o Options) withDefaults() Options {
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, name string) ([]netip.Addr, error) {
			// The final dot keeps the host's search list out of it.
			return net.DefaultResolver.LookupNetIP(ctx, "ip4", name+".")
		}
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr.String())
		}
	}
	if o.Own == nil {
		o.Own = ownAddresses
	}
	if o.Audit == nil {
		o.Audit = func(api.EgressEvent) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// ownAddresses is asked for at each connection, since addresses come and go.
func ownAddresses() []netip.Addr {
	var list []netip.Addr
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil // no host without interfaces has an address to protect
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				list = append(list, addr.Unmap())
			}
		}
	}
	return list
}

func (g *Gateway) isOwn(a netip.Addr) bool { return slices.Contains(g.opts.Own(), a.Unmap()) }

// Close ends all connections and waits until nothing of the gateway is left: no
// goroutine, no descriptor. The box's end then leads nowhere.
func (g *Gateway) Close() error {
	g.once.Do(g.close)
	return nil
}

func (g *Gateway) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	if g.stack == nil {
		g.wire.stop()
		return
	}
	g.stack.Close()
	g.drain()
	g.wire.stop()
	g.stack.Wait()
}

// drain ends what is open until all work is over. Once is not enough: the end of
// a handshake can only be told to who already waits for it.
func (g *Gateway) drain() {
	done := make(chan struct{})
	go func() {
		g.work.Wait()
		close(done)
	}()
	tick := time.NewTicker(kick)
	defer tick.Stop()
	for {
		for _, end := range g.underWay() {
			(*end)()
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// begin registers work that Close has to wait for; false when it is too late.
func (g *Gateway) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.work.Add(1)
	return true
}

// hold has Close call end, perhaps several times, until release is called.
func (g *Gateway) hold(end func()) (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := &end
	g.ends[key] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.ends, key)
	}
}

func (g *Gateway) underWay() []*func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.ends))
}
