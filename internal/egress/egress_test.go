package egress

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"github.com/brigdev/brig/api"
)

// echoServer answers a request with what it was, and its body.
func echoServer(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s%s upgrade=%q body=%d %s", r.Method, r.Host, r.URL.Path, r.Header.Get("Upgrade"), len(b), bytes.TrimSpace(b[:min(len(b), 20)]))
	}))
	t.Cleanup(s.Close)
	return s
}

func allow(entries ...string) api.Egress { return api.Egress{Mode: api.EgressAllow, Allow: entries} }

func TestAllowedName(t *testing.T) {
	w := newWorld(t, allow("web.example.org"), echoServer(t).Listener.Addr().String())
	res, err := w.client(t).Get("http://web.example.org/path")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if !strings.HasPrefix(string(b), "GET web.example.org/path ") {
		t.Errorf("got %q", b)
	}
	if !w.wasDialed("93.184.216.34:80") {
		t.Errorf("dialed %v: not the address that was checked", w.reached())
	}
	var events []api.EgressEvent
	w.with(func() { events = slices.Clone(w.events) })
	i := slices.IndexFunc(events, func(e api.EgressEvent) bool { return e.Kind == api.EgressConnect })
	if i < 0 || !events[i].Allowed || events[i].Name != "web.example.org" || events[i].Rule != "web.example.org" || events[i].Time.IsZero() {
		t.Errorf("audit: %+v", events)
	}
}

// TestRefusedConnections holds that connect() itself fails, and nothing is dialled.
func TestRefusedConnections(t *testing.T) {
	w := newWorld(t, allow("web.example.org:8080", "*.example.net", "192.168.7.0/24:5432", "0.0.0.0/0:9999"), "")
	w.with(func() { w.own = []netip.Addr{netip.MustParseAddr("93.184.216.99")} })
	w.lookup("web.example.org")
	w.with(func() { w.dialed = nil })
	for to, why := range map[string]string{
		"93.184.216.35:80":     "not on the list",
		"93.184.216.34:80":     "this port",
		"169.254.169.254:80":   "link-local",
		"169.254.169.254:9999": "link-local",
		"100.100.100.200:9999": "metadata",
		"168.63.129.16:9999":   "metadata",
		"10.0.0.1:9999":        "private",
		"192.168.7.1:5433":     "private",
		"93.184.216.99:9999":   "this host's",
		"198.18.0.1:80":        "only answers DNS",
		"198.18.0.77:80":       "benchmark",
	} {
		t.Run(to, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, err := w.dial(ctx, "tcp", to)
			if err == nil {
				c.Close()
				t.Fatal("connected")
			}
			if ctx.Err() != nil {
				t.Error("it hung instead of being refused")
			}
			if !slices.ContainsFunc(w.refused(), func(r string) bool { return strings.Contains(r, why) }) {
				t.Errorf("no reason says %q: %q", why, w.refused())
			}
		})
	}
	if w.reached() != nil {
		t.Errorf("dialed %v", w.reached())
	}
}

func TestRefusedNames(t *testing.T) {
	w := newWorld(t, allow("web.example.org", "*.example.net"), "")
	for _, name := range []string{
		"evil.example.com", "example.org", "xweb.example.org", "web.example.org.evil.example.com", "example.net", "notexample.net",
		"c2VjcmV0.web.example.org", "localhost", "metadata.google.internal",
	} {
		if addrs, code := w.lookup(name); addrs != nil || code != dnsmessage.RCodeNameError {
			t.Errorf("%s: %v %v", name, addrs, code)
		}
	}
	if w.lookupCount() != 0 {
		t.Errorf("%d refused names reached the resolver", w.lookupCount())
	}
}

// TestRebinding holds that a name may not lead to what is not public, whether at
// first or later, in any notation.
func TestRebinding(t *testing.T) {
	w := newWorld(t, allow("web.example.org"), "")
	w.with(func() { w.own = []netip.Addr{netip.MustParseAddr("93.184.216.99")} })
	for _, addr := range []string{
		"127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "fd00:ec2::254", "93.184.216.99",
	} {
		w.with(func() { w.hosts["web.example.org"] = addr })
		if addrs, code := w.lookup("web.example.org"); addrs != nil || code != dnsmessage.RCodeNameError {
			t.Errorf("%s: %v %v", addr, addrs, code)
		}
	}
	w.with(func() { w.hosts["web.example.org"] = "10.0.0.1 93.184.216.34" })
	if addrs, _ := w.lookup("web.example.org"); len(addrs) != 1 || addrs[0].String() != "93.184.216.34" {
		t.Errorf("of a public and a private address: %v", addrs)
	}
	w.with(func() { w.hosts["web.example.org"] = "10.0.0.1" })
	w.names.mu.Lock()
	clear(w.names.cache) // as after the TTL
	w.names.mu.Unlock()
	if addrs, _ := w.lookup("web.example.org"); addrs != nil {
		t.Errorf("after a flip: %v", addrs)
	}
	if _, err := w.dial(t.Context(), "tcp", "10.0.0.1:80"); err == nil {
		t.Error("connected to a private address")
	}
}

// TestNamedRange holds that an entry with an address opens what names may then
// lead to.
func TestNamedRange(t *testing.T) {
	w := newWorld(t, allow("web.example.org", "10.0.0.0/24:80"), echoServer(t).Listener.Addr().String())
	w.with(func() { w.hosts["web.example.org"] = "10.0.0.5" })
	res, err := w.client(t).Get("http://web.example.org/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if !w.wasDialed("10.0.0.5:80") {
		t.Errorf("dialed %v", w.reached())
	}
}

func TestOpenMode(t *testing.T) {
	w := newWorld(t, api.Egress{Mode: api.EgressOpen}, echoServer(t).Listener.Addr().String())
	for _, url := range []string{"http://evil.example.com/", "http://93.184.216.77:8080/"} {
		res, err := w.client(t).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	for _, to := range []string{"10.0.0.1:80", "169.254.169.254:80"} {
		if _, err := w.dial(t.Context(), "tcp", to); err == nil {
			t.Errorf("connected to %s", to)
		}
	}
}

func TestDNS(t *testing.T) {
	w := newWorld(t, allow("web.example.org"), "")
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeAAAA, dnsmessage.TypeTXT, dnsmessage.TypeALL, dnsmessage.TypeSOA} {
		if addrs, code := parseAnswer(w.exchange(question("web.example.org", kind))); addrs != nil || code != dnsmessage.RCodeSuccess {
			t.Errorf("%v: %v %v", kind, addrs, code)
		}
	}
	if w.lookupCount() != 0 {
		t.Errorf("%d of them reached the resolver", w.lookupCount())
	}
	for range 3 {
		if addrs, _ := w.lookup("WEB.example.ORG"); len(addrs) != 1 {
			t.Errorf("%v", addrs)
		}
	}
	if w.lookupCount() != 1 {
		t.Errorf("%d lookups of one name", w.lookupCount())
	}

	c := w.mustDial(t, "198.18.0.1:53")
	q := question("web.example.org", dnsmessage.TypeA)
	for range 2 {
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)); err != nil {
			t.Fatal(err)
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		if addrs, code := parseAnswer(b); len(addrs) != 1 {
			t.Errorf("by TCP: %v %v", addrs, code)
		}
	}
	if _, err := c.Write([]byte{0xff, 0xff, 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("an oversized question was answered")
	}
}

// TestLookupRate holds that names below an allowed one are no channel of their own.
func TestLookupRate(t *testing.T) {
	w := newWorld(t, allow("*.example.org"), "")
	refused := false
	for i := range 2000 {
		if _, code := w.lookup(fmt.Sprintf("data%d.example.org", i)); code == dnsmessage.RCodeServerFailure {
			refused = true
			break
		}
	}
	if !refused {
		t.Error("2000 lookups in a row were let through")
	}
}

func TestOtherUDP(t *testing.T) {
	w := newWorld(t, api.Egress{Mode: api.EgressOpen}, "")
	for _, to := range []string{"8.8.8.8:53", "93.184.216.34:443", "198.18.0.1:54"} {
		ap := netip.MustParseAddrPort(to)
		c, err := gonet.DialUDP(w.guest, nil, &tcpip.FullAddress{Addr: tcpip.AddrFrom4(ap.Addr().As4()), Port: ap.Port()}, ipv4.ProtocolNumber)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(question("web.example.org", dnsmessage.TypeA)); err != nil {
			t.Fatal(err)
		}
		w.lookup("web.example.org") // what was sent before has arrived by its answer
		w.mu.Lock()
		seen := slices.ContainsFunc(w.events, func(e api.EgressEvent) bool {
			return e.Kind == api.EgressPacket && !e.Allowed && e.Target == ap
		})
		w.mu.Unlock()
		if !seen {
			t.Errorf("no refusal of a packet to %s", to)
		}
		c.Close()
	}
	if w.reached() != nil {
		t.Errorf("dialed %v", w.reached())
	}
}

func TestUnreachableServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	w := newWorld(t, allow("93.184.216.34"), l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.dial(ctx, "tcp", "93.184.216.34:5"); err == nil || ctx.Err() != nil {
		t.Errorf("want a refusal at once, got %v", err)
	}
}

func TestHalfClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b, _ := io.ReadAll(c) // until the guest has said all
		fmt.Fprintf(c, "got %d", len(b))
	}()
	w := newWorld(t, allow("93.184.216.34"), l.Addr().String())
	c := w.mustDial(t, "93.184.216.34:5")
	if _, err := c.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*gonet.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); string(b) != "got 1048576" {
		t.Errorf("%q %v", b, err)
	}
}
