package egress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/time/rate"

	"github.com/brigdev/brig/internal/netpolicy"
)

// said is a guest that has said something and then nothing more.
type said struct {
	net.Conn // nil: the rest is not called
	io.Reader
}

func (s said) Read(b []byte) (int, error)    { return s.Reader.Read(b) }
func (said) SetReadDeadline(time.Time) error { return nil }
func (said) CloseWrite() error               { return nil }
func (said) abort()                          {}

// heard is a server that writes down what it is sent.
type heard struct {
	net.Conn // nil
	bytes.Buffer
}

func (h *heard) Read([]byte) (int, error)    { return 0, io.EOF }
func (h *heard) Write(b []byte) (int, error) { return h.Buffer.Write(b) }

// bare is a gateway without a network.
func bare(t testing.TB) *Gateway {
	p, err := netpolicy.Parse(allow("web.example.org", "web.example.org:8080"))
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{ctx: context.Background(), lookups: rate.NewLimiter(rate.Inf, 1)}
	g.rules.Store(&p)
	g.opts = Options{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("10.0.0.1")}, nil
	}, Own: func() []netip.Addr { return nil }}.withDefaults()
	g.reports.limit = rate.NewLimiter(rate.Inf, 1)
	return g
}

// pass gives a server what the gateway lets through of what a guest says.
func pass(t testing.TB, port uint16, text []byte) []byte {
	out := &heard{}
	p := &pipe{
		g: bare(t), in: said{Reader: bytes.NewReader(text)}, out: out,
		to: netip.AddrPortFrom(netip.MustParseAddr("93.184.216.34"), port), names: []string{"web.example.org"},
	}
	_ = p.up()
	return out.Bytes()
}

// FuzzHTTP holds that a server on port 80 only ever gets requests for the allowed
// name, however it is written what the guest sends.
func FuzzHTTP(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: web.example.org\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: web.example.org\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n",
		"POST http://web.example.org/a HTTP/1.1\r\nHost: evil.example.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\nGET /",
		"GET / HTTP/1.1\r\nHost : web.example.org\r\n Host: evil.example.com\r\n\r\n",
		"GET /\x00 HTTP/1.1\nHost: web.example.org\n\n",
		"GET / HTTP/1.0\r\nHost: web.example.org\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bufio.NewReader(bytes.NewReader(pass(t, 80, text)))
		for {
			req, err := http.ReadRequest(r)
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatalf("the server cannot read what was passed on: %v", err)
			}
			host, _, _ := strings.Cut(req.Host, ":")
			if !strings.EqualFold(strings.TrimSuffix(host, "."), "web.example.org") || req.Header.Get("Upgrade") != "" || req.Method == http.MethodConnect {
				t.Fatalf("passed on: %+v", req)
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return // the guest did not send all of it
			}
		}
	})
}

// talker is a connection of which only writing matters.
type talker struct {
	readOnly
	bytes.Buffer
}

func (t *talker) Read([]byte) (int, error)    { return 0, io.EOF }
func (t *talker) Write(b []byte) (int, error) { return t.Buffer.Write(b) }

// helloFor is the first message of a TLS client.
func helloFor(name string) []byte {
	var said talker
	_ = tls.Client(&said, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake() // nobody answers
	return said.Bytes()
}

// FuzzTLS holds that a server on port 443 gets nothing but a handshake for the
// allowed name and what follows it, unchanged.
func FuzzTLS(f *testing.F) {
	f.Add(helloFor("web.example.org"))
	f.Add(append(helloFor("web.example.org"), "more"...))
	f.Add(helloFor("evil.example.com"))
	f.Add([]byte("\x16\x03\x01\x00\x02\x01\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := pass(t, 443, text)
		if len(got) == 0 {
			return
		}
		hello, _, err := readHello(bytes.NewReader(got))
		if err != nil {
			t.Fatalf("passed on what cannot be read: %v", err)
		}
		if !strings.EqualFold(hello.ServerName, "web.example.org") || !bytes.Equal(got, text) {
			t.Fatalf("passed on for %q: %d of %d bytes", hello.ServerName, len(got), len(text))
		}
	})
}

// FuzzOther holds that on other ports nothing is changed, and that no request for
// another name gets through.
func FuzzOther(f *testing.F) {
	for _, s := range []string{"\x00\x01binary", "EHLO me\r\n", "\r\nGET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", "get / HTTP/1.1\nHost: evil.example.com\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := pass(t, 8080, text)
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(got)))
		if err == nil {
			host, _, _ := strings.Cut(req.Host, ":")
			if !strings.EqualFold(strings.TrimSuffix(host, "."), "web.example.org") {
				t.Fatalf("passed on: %q", got)
			}
		}
	})
}

// FuzzDNS holds that whatever a guest asks, an answer is one, and holds public
// addresses of allowed names only.
func FuzzDNS(f *testing.F) {
	f.Add(question("web.example.org", dnsmessage.TypeA))
	f.Add(question("evil.example.com", dnsmessage.TypeA))
	f.Add(question("web.example.org", dnsmessage.TypeTXT))
	f.Add([]byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, query []byte) {
		reply := bare(t).reply(query)
		if reply == nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(reply); err != nil || !m.Response || len(reply) > 512 {
			t.Fatalf("%d bytes: %v: %+v", len(reply), err, m)
		}
		for _, a := range m.Answers {
			name, err := netpolicy.ParseName(a.Header.Name.String())
			body, ok := a.Body.(*dnsmessage.AResource)
			if err != nil || name != "web.example.org" || !ok || netip.AddrFrom4(body.A).IsPrivate() {
				t.Fatalf("answered %+v", a)
			}
		}
	})
}
