package fake

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/brigdev/brig/api"
)

// procTCP is where Linux lists the sockets.
const procTCP = "/proc/net/tcp"

// serve runs "listen" and "http": it answers connections to a port until the program
// is killed.
func (p *program) serve(verb, rest string) error {
	port, err := strconv.Atoi(rest)
	if err != nil || port < 1 || port > 65535 {
		return syscall.EINVAL
	}
	serve := echoConn
	if verb == "http" {
		server := &http.Server{Handler: http.HandlerFunc(answerHTTP)}
		l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
		serve = l.give
		p.a.box.work.Go(func() { _ = server.Serve(l) }) // it ends with the listener
		defer server.Close()
	}
	p.a.mu.Lock()
	taken := p.a.ports[port] != nil
	if !taken {
		p.a.ports[port] = serve
	}
	p.a.mu.Unlock()
	if taken {
		return syscall.EADDRINUSE
	}
	p.a.showPorts()
	<-p.ctx.Done()
	p.a.mu.Lock()
	delete(p.a.ports, port)
	p.a.mu.Unlock()
	p.a.showPorts()
	return nil
}

// showPorts writes the ports that are served where Linux lists them.
func (a *agent) showPorts() {
	var b strings.Builder
	b.WriteString("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	a.mu.Lock()
	i := 0
	for port := range a.ports {
		fmt.Fprintf(&b, "%4d: 0100007F:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 0\n", i, port)
		i++
	}
	a.mu.Unlock()
	_ = a.box.state.files.put(procTCP, &node{Kind: api.FileRegular, Mode: 0o444, Data: []byte(b.String())}) // unless the disk is full
}

// echoConn says what it hears.
func echoConn(c net.Conn) {
	defer c.Close()
	_, _ = io.Copy(c, c)
}

// answerHTTP tells what was asked: method, address and host on one line, then the
// headers, an empty line and the body. "Upgrade: echo" makes the connection one that
// echoes.
func answerHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "echo" {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, buf)
		return
	}
	fmt.Fprintf(w, "%s %s %s\n", r.Method, r.URL.RequestURI(), r.Host)
	_ = r.Header.WriteSubset(w, nil)
	fmt.Fprint(w, "\n")
	_, _ = io.Copy(w, r.Body)
}

// listener gives a server the connections that are dialled.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) give(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		c.Close()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }
