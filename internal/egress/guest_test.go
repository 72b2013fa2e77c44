package egress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/netpolicy"
)

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// world is a gateway with a guest behind it and a pretended internet before it:
// names that resolve as they are told to, and one server wherever is dialled.
type world struct {
	*Gateway
	guest  *stack.Stack
	gone   sync.Once
	device *wire

	mu     sync.Mutex
	hosts  map[string]string // name: address
	server string            // the true address of whatever is dialled
	dialed []string
	events []api.EgressEvent
	own    []netip.Addr
	asked  int // lookups that reached the resolver
	onDial func(context.Context) error
}

// newWorld opens a gateway and a guest.
func newWorld(t *testing.T, e api.Egress, server string) *world {
	t.Helper()
	w := &world{server: server, hosts: map[string]string{
		"web.example.org": "93.184.216.34", "other.example.org": "93.184.216.34", "evil.example.com": "93.184.216.35",
	}}
	p, err := netpolicy.Parse(e)
	if err != nil {
		t.Fatal(err)
	}
	var link *driver.Link
	w.Gateway, link, err = Open(p, Options{Resolve: w.resolve, Dial: w.dialHost, Audit: w.audit, Own: w.ownAddrs})
	if err != nil {
		t.Fatal(err)
	}
	w.guest, w.device = newGuest(t, link)
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	w.Close()
	w.gone.Do(func() {
		w.device.stop()
		w.guest.Destroy()
	})
}

// newGuest makes a network stack as a sandbox has it.
func newGuest(t *testing.T, link *driver.Link) (*stack.Stack, *wire) {
	t.Helper()
	device, err := newWire(link.File, link.MAC)
	if err != nil {
		t.Fatal(err)
	}
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	if err := s.CreateNIC(nic, device); err != nil {
		t.Fatal(err)
	}
	addr := tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(link.Addr.Addr().As4()), PrefixLen: link.Addr.Bits()}
	if err := s.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: addr}, stack.AddressProperties{}); err != nil {
		t.Fatal(err)
	}
	s.SetRouteTable([]tcpip.Route{
		{Destination: addr.Subnet(), NIC: nic},
		{Destination: header.IPv4EmptySubnet, Gateway: tcpip.AddrFrom4(link.Gateway.As4()), NIC: nic},
	})
	device.start()
	return s, device
}

func (w *world) resolve(_ context.Context, name string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	var addrs []netip.Addr
	for a := range strings.FieldsSeq(w.hosts[name]) {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, &net.DNSError{Name: name, IsNotFound: true}
	}
	return addrs, nil
}

// with looks at the world or changes it, while nobody else does.
func (w *world) with(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

func (w *world) ownAddrs() (own []netip.Addr) {
	w.with(func() { own = w.own })
	return own
}

// dialHost notes what the gateway wants to reach, and connects to the server.
func (w *world) dialHost(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dialed = append(w.dialed, to.String())
	hook := w.onDial
	w.mu.Unlock()
	if hook != nil {
		if err := hook(ctx); err != nil {
			return nil, err
		}
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", w.server)
}

func (w *world) audit(e api.EgressEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// lookupCount counts the lookups that reached the resolver.
func (w *world) lookupCount() (n int) {
	w.with(func() { n = w.asked })
	return n
}

// reached are the addresses that were dialled.
func (w *world) reached() (list []string) {
	w.with(func() { list = slices.Clone(w.dialed) })
	return list
}

// refused are the reasons of the refusals so far.
func (w *world) refused() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, e := range w.events {
		if !e.Allowed {
			list = append(list, e.Reason)
		}
	}
	return list
}

func (w *world) wasDialed(addr string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.dialed, addr)
}

// dial connects from inside to HOST:PORT; a name is asked for first.
func (w *world) dial(ctx context.Context, _, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err != nil {
		addrs, code := w.lookup(host)
		if len(addrs) == 0 {
			return nil, fmt.Errorf("cannot resolve %s: %s", host, code)
		}
		host = addrs[0].String()
	}
	to := netip.MustParseAddrPort(net.JoinHostPort(host, port))
	return gonet.DialContextTCP(ctx, w.guest, tcpip.FullAddress{Addr: tcpip.AddrFrom4(to.Addr().As4()), Port: to.Port()}, ipv4.ProtocolNumber)
}

// mustDial is dial for tests.
func (w *world) mustDial(t *testing.T, hostport string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := w.dial(ctx, "tcp", hostport)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func question(name string, kind dnsmessage.Type) []byte {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 7, RecursionDesired: true})
	n, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		panic(err)
	}
	_ = b.StartQuestions()
	_ = b.Question(dnsmessage.Question{Name: n, Type: kind, Class: dnsmessage.ClassINET})
	m, err := b.Finish()
	if err != nil {
		panic(err)
	}
	return m
}

func parseAnswer(b []byte) ([]netip.Addr, dnsmessage.RCode) {
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil || m.ID != 7 || !m.Response {
		return nil, 99
	}
	var addrs []netip.Addr
	for _, r := range m.Answers {
		if a, ok := r.Body.(*dnsmessage.AResource); ok {
			addrs = append(addrs, netip.AddrFrom4(a.A))
		}
	}
	return addrs, m.RCode
}

// lookup asks the gateway for a name's addresses, by UDP.
func (w *world) lookup(name string) ([]netip.Addr, dnsmessage.RCode) {
	return parseAnswer(w.exchange(question(name, dnsmessage.TypeA)))
}

func (w *world) exchange(query []byte) []byte {
	to := tcpip.FullAddress{Addr: tcpip.AddrFrom4(gatewayAddr().As4()), Port: dnsPort}
	c, err := gonet.DialUDP(w.guest, nil, &to, ipv4.ProtocolNumber)
	if err != nil {
		return nil
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(query); err != nil {
		return nil
	}
	b := make([]byte, 2048)
	n, err := c.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// client is an HTTP client inside.
func (w *world) client(t *testing.T) *http.Client {
	tr := &http.Transport{DialContext: w.dial}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// say sends raw bytes from inside and reads one HTTP response; an error is the
// connection's end.
func say(c net.Conn, r *bufio.Reader, request string) (string, error) {
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}
