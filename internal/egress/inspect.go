package egress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"slices"
	"time"

	"github.com/brigdev/brig/internal/netpolicy"
)

const (
	// helloTimeout is how long a guest may take to say what a connection is for.
	helloTimeout = 30 * time.Second
	maxHello     = 96 << 10 // of TLS; the largest has 64 KiB and its records' heads
	maxFirstLine = 8 << 10  // of HTTP
	// extensionECH is encrypted client hello, which hides the true name.
	extensionECH = 0xfe0d
)

// The kinds of what a guest may say first.
type kind int

const (
	unknown kind = iota // more bytes will tell
	isTLS
	isHTTP
	opaque // neither
)

// inspect copies from the guest to the server, and makes sure that TLS and HTTP
// are for a name that the connection was allowed for. On the ports 80 and 443 it
// has to be one of them; on others it may be anything else, too.
func (p *pipe) inspect(from *tap) error {
	limit := &io.LimitedReader{R: from, N: math.MaxInt64}
	r := bufio.NewReaderSize(limit, maxFirstLine)
	if p.names == nil {
		return p.copyRest(r)
	}
	strict := p.to.Port() == 80 || p.to.Port() == 443
	if strict {
		p.hurry()
	}
	k, err := p.sniff(r)
	if err == io.EOF {
		return nil
	}
	if isTimeout(err) {
		return p.refuse("", "it does not say what it is for")
	}
	if err != nil {
		return err
	}
	switch {
	case k == isTLS && p.to.Port() != 80:
		return p.relayTLS(r)
	case k == isHTTP && p.to.Port() != 443:
		return p.relayHTTP(r, limit)
	case strict:
		return p.refuse("", "it is not TLS on port 443 or HTTP on port 80")
	}
	p.takeYourTime()
	return p.copyRest(r)
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func (p *pipe) hurry()        { _ = p.in.SetReadDeadline(time.Now().Add(helloTimeout)) }
func (p *pipe) takeYourTime() { _ = p.in.SetReadDeadline(time.Time{}) }

func (p *pipe) copyRest(r io.Reader) error {
	_, err := io.CopyBuffer(writer{p.out}, struct{ io.Reader }{r}, make([]byte, copyBuffer))
	return err
}

// sniff looks at no more bytes than it needs: a guest that waits for an answer to
// its first few must not wait for ever.
func (p *pipe) sniff(r *bufio.Reader) (kind, error) {
	for n := 1; ; n = r.Buffered() + 1 {
		_, err := r.Peek(n)
		if n == 1 && err == nil {
			p.hurry()
		}
		b, _ := r.Peek(r.Buffered())
		switch k := kindOf(b); {
		case k != unknown:
			return k, nil
		case len(b) == r.Size():
			return unknown, p.refuse("", "its first line has no end")
		case err != nil:
			return unknown, err
		}
	}
}

// kindOf classes the first bytes of a connection.
func kindOf(b []byte) kind {
	b = bytes.TrimLeft(b, "\r\n") // servers overlook empty lines before a request
	if len(b) == 0 {
		return unknown
	}
	if b[0] == 0x16 { // a TLS handshake, version 3.x
		switch {
		case len(b) == 1:
			return unknown
		case b[1] == 3:
			return isTLS
		}
		return opaque
	}
	line, _, ended := bytes.Cut(b, []byte("\n"))
	method, rest, spaced := bytes.Cut(line, []byte(" "))
	if bytes.ContainsFunc(method, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return opaque
	}
	switch {
	case !ended:
		return unknown
	case spaced && bytes.Contains(rest, []byte("HTTP/")):
		return isHTTP
	}
	return opaque
}

// relayTLS checks the name in a TLS handshake and copies all of it. What is inside
// stays hidden: it is between the guest and a server that may serve that name.
func (p *pipe) relayTLS(r *bufio.Reader) error {
	hello, raw, err := readHello(r)
	if err != nil {
		return p.refuse("", "its TLS handshake cannot be read")
	}
	name, err := netpolicy.ParseName(hello.ServerName)
	switch {
	case hello.ServerName == "":
		return p.refuse("", "its TLS handshake names no server")
	case err != nil:
		return p.refuse("", "its TLS handshake names no proper server")
	case !slices.Contains(p.names, name):
		return p.refuse(name, "its TLS handshake is for another name")
	case slices.Contains(hello.Extensions, extensionECH):
		return p.refuse(name, "its TLS handshake may hide another name (ECH)")
	}
	p.takeYourTime()
	if _, err := p.out.Write(raw); err != nil {
		return err
	}
	return p.copyRest(r)
}

// errEnough ends a handshake once its first message was read.
var errEnough = errors.New("enough")

// readHello reads a client's first message with the TLS of the standard library,
// and gives all bytes that it took.
func readHello(r io.Reader) (*tls.ClientHelloInfo, []byte, error) {
	var raw bytes.Buffer
	var hello *tls.ClientHelloInfo
	conn := tls.Server(readOnly{Reader: io.TeeReader(io.LimitReader(r, maxHello), &raw)}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = h
			return nil, errEnough
		},
	})
	err := conn.HandshakeContext(context.Background()) // ends with r
	if hello == nil {
		return nil, nil, err
	}
	return hello, raw.Bytes(), nil
}

// readOnly is a connection of which only reading matters.
type readOnly struct {
	net.Conn // nil: nothing else is called
	io.Reader
}

func (c readOnly) Read(b []byte) (int, error)       { return c.Reader.Read(b) }
func (c readOnly) Write(b []byte) (int, error)      { return len(b), nil }
func (c readOnly) Close() error                     { return nil }
func (c readOnly) SetDeadline(time.Time) error      { return nil }
func (c readOnly) SetReadDeadline(time.Time) error  { return nil }
func (c readOnly) SetWriteDeadline(time.Time) error { return nil }
