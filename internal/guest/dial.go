package guest

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// Conn is a connection to a port inside. It must be closed. Two goroutines, one for
// each direction, are its own until then.
type Conn struct {
	in   net.Conn // what the peer says
	out  net.Conn // what it is to hear
	port int
	over chan struct{} // closed when nothing of it is under way
	stop context.CancelFunc
	once sync.Once

	// err says why the peer was not heard to its end; it is set before in is closed.
	err error
}

var _ net.Conn = (*Conn)(nil)

// Dial connects to a TCP port on localhost inside; ctx is for that only. What the
// peer says waits until it is read, as far as the protocol's window allows, and then
// inside. Errors: GuestError, with ECONNREFUSED when nothing listens there.
func (c *Client) Dial(ctx context.Context, port int) (*Conn, error) {
	in, heard := net.Pipe()
	said, out := net.Pipe()
	p, err := c.begin(ctx, TypeDial, Fields(nil).U32(uint32(port)), Streams{Stdin: said, Stdout: heard}, TypeEnd, TypeErr)
	if err != nil {
		return nil, err
	}
	if err := p.awaitStart(ctx); err != nil {
		said.Close()
		p.hangUp(ctx)
		return nil, err
	}
	within, stop := context.WithCancel(context.WithoutCancel(ctx))
	conn := &Conn{in: in, out: out, port: port, over: make(chan struct{}), stop: stop}
	go func() {
		defer close(conn.over)
		if ended, err := p.converse(within, heard); !ended {
			conn.err = err
		}
		heard.Close()
		said.Close()
		p.hangUp(within)
	}()
	return conn, nil
}

// converse passes on what the peer says, until both sides have said all. An empty
// frame is the peer's end: it may be listening still. ended says that it came.
func (p *Program) converse(ctx context.Context, heard net.Conn) (ended bool, err error) {
	for {
		f, err := p.next(ctx)
		switch {
		case err != nil:
		case f.Type == TypeEnd && ended:
			return true, nil
		case f.Type == TypeErr:
			err = p.c.refusal(f)
		case f.Type != TypeStdout || ended:
			err = p.c.violation("it sent a frame of type %d amid a connection", f.Type)
		case len(f.Payload) == 0:
			ended = true
			heard.Close()
			err = p.done(ctx, f)
		default:
			err = p.pass(ctx, f)
		}
		if err != nil {
			return ended, err
		}
	}
}

// hangUp is leave for a connection.
func (p *Program) hangUp(ctx context.Context) {
	p.cancel(nil)
	p.in.stop()
	p.inbox.leave(ctx, TypeHangUp, nil)
}

// Read reads what the peer says; io.EOF when that was all.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	if err == io.EOF && c.err != nil {
		err = c.err
	}
	return n, err
}

// Write has the peer hear b. It returns when all of b is on its way.
func (c *Conn) Write(b []byte) (int, error) { return c.out.Write(b) }

// CloseWrite tells the peer that nothing more comes.
func (c *Conn) CloseWrite() error { return c.out.Close() }

// Close ends the connection and waits until the guest knows.
func (c *Conn) Close() error {
	c.once.Do(func() {
		c.stop()
		c.in.Close()
		c.out.Close()
	})
	<-c.over
	return nil
}

// LocalAddr is the host's, which has none of its own.
func (c *Conn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// RemoteAddr is the port inside.
func (c *Conn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.port}
}

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.in.SetReadDeadline(t); err != nil {
		return err
	}
	return c.out.SetWriteDeadline(t)
}

// SetReadDeadline bounds Reads.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.in.SetReadDeadline(t) }

// SetWriteDeadline bounds Writes.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }
