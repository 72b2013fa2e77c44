package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/netpolicy"
)

const (
	dnsPort    = 53
	maxQuery   = 512 // a question is one name
	maxAnswers = 16
	maxAsking  = 16 // lookups at a time
	// lookupRate and lookupBurst bound what reaches the host's resolver: labels can
	// carry data, even below an allowed name.
	lookupRate, lookupBurst = 20, 100
	lookupTimeout           = 5 * time.Second
	dnsIdle                 = 10 * time.Second // of a connection
)

// listenDNS opens the gateway's port for questions.
func (g *Gateway) listenDNS() (*gonet.UDPConn, error) {
	at := tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(gatewayAddr().As4()), Port: dnsPort}
	return gonet.DialUDP(g.stack, &at, nil, ipv4.ProtocolNumber)
}

// serveDNS answers datagrams until conn is closed. What comes while too much is
// under way is dropped; resolvers ask again.
func (g *Gateway) serveDNS(conn *gonet.UDPConn) {
	defer g.work.Done()
	defer g.hold(func() { conn.Close() })()
	buf := make([]byte, maxQuery+1)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if n > maxQuery || !g.begin() {
			continue
		}
		query := append([]byte(nil), buf[:n]...)
		select {
		case g.asking <- struct{}{}:
		default:
			g.work.Done()
			continue
		}
		go func() {
			defer g.work.Done()
			defer func() { <-g.asking }()
			if reply := g.reply(query); reply != nil {
				_, _ = conn.WriteTo(reply, from) // a lost answer is asked for again
			}
		}()
	}
}

// serveDNSConn answers the questions of one connection, one after the other.
func (g *Gateway) serveDNSConn(conn net.Conn) {
	var size [2]byte
	for {
		_ = conn.SetDeadline(time.Now().Add(dnsIdle)) // fails only when it is closed
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if len(query) > maxQuery {
			return
		}
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply := g.reply(query)
		if reply == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// reply answers one message; nil when it is none.
func (g *Gateway) reply(query []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	if _, more := p.Question(); !errors.Is(more, dnsmessage.ErrSectionDone) || h.OpCode != 0 || q.Class != dnsmessage.ClassINET {
		return message(h, q, dnsmessage.RCodeNotImplemented, nil)
	}
	addrs, code := g.lookUp(q.Name.String(), q.Type == dnsmessage.TypeA)
	return message(h, q, code, addrs)
}

// lookUp decides about a name and resolves it. Names without an A record, and
// questions for other records, have an empty answer: that is all there is here.
func (g *Gateway) lookUp(asked string, wantAddrs bool) ([]netip.Addr, dnsmessage.RCode) {
	name, err := netpolicy.ParseName(asked)
	if err != nil {
		g.report(api.EgressEvent{Kind: api.EgressLookup, Name: fmt.Sprintf("%.80q", asked), Reason: "it is not a host name"})
		return nil, dnsmessage.RCodeNameError
	}
	d := g.policy().Lookup(name)
	if !d.Allowed {
		g.report(api.EgressEvent{Kind: api.EgressLookup, Name: name, Reason: d.Reason})
		return nil, dnsmessage.RCodeNameError
	}
	if !wantAddrs {
		return nil, dnsmessage.RCodeSuccess
	}
	if addrs, ok := g.names.cached(name); ok {
		return addrs, dnsmessage.RCodeSuccess
	}
	if !g.lookups.Allow() {
		g.report(api.EgressEvent{Kind: api.EgressLookup, Name: name, Reason: "there are too many lookups"})
		return nil, dnsmessage.RCodeServerFailure
	}
	return g.resolve(name, d.Rule)
}

// resolve asks the host and keeps the addresses that may be reached. A name that
// only leads to others is as good as none: it may be made to point anywhere.
func (g *Gateway) resolve(name, rule string) ([]netip.Addr, dnsmessage.RCode) {
	ctx, cancel := context.WithTimeout(g.ctx, lookupTimeout)
	defer cancel()
	all, err := g.opts.Resolve(ctx, name)
	var missing *net.DNSError
	switch {
	case errors.As(err, &missing) && missing.IsNotFound:
		return nil, dnsmessage.RCodeNameError
	case err != nil:
		g.opts.Log.Debug("egress: cannot resolve", "name", name, "error", err)
		return nil, dnsmessage.RCodeServerFailure
	}
	var addrs []netip.Addr
	refused := ""
	for _, a := range all {
		a = a.Unmap()
		if d := g.policy().Answer(a, g.isOwn(a)); !d.Allowed {
			refused = d.Reason
		} else if a.Is4() && len(addrs) < maxAnswers {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 && refused != "" {
		g.report(api.EgressEvent{Kind: api.EgressLookup, Name: name, Reason: "it leads elsewhere: " + refused})
		return nil, dnsmessage.RCodeNameError
	}
	g.names.pin(name, addrs)
	g.report(api.EgressEvent{Kind: api.EgressLookup, Allowed: true, Name: name, Rule: rule})
	return addrs, dnsmessage.RCodeSuccess
}

// message writes an answer. All of them fit into a datagram.
func message(h dnsmessage.Header, q dnsmessage.Question, code dnsmessage.RCode, addrs []netip.Addr) []byte {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{
		ID: h.ID, Response: true, OpCode: h.OpCode, RecursionDesired: h.RecursionDesired, RecursionAvailable: true, RCode: code,
	})
	b.EnableCompression()
	err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers())
	for _, a := range addrs {
		rh := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: uint32(lookupTTL / time.Second)}
		err = errors.Join(err, b.AResource(rh, dnsmessage.AResource{A: a.As4()}))
	}
	reply, finishErr := b.Finish()
	if errors.Join(err, finishErr) != nil {
		return nil // the question was parsed from a message, so it can be written
	}
	return reply
}
