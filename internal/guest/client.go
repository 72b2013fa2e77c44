package guest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

const (
	// readBuffer is enough for the small frames of a typical item in one read.
	readBuffer = 16 << 10
	// writeGrace is how long a write that is under way may still take when its
	// operation is cancelled. A frame cut in half would cost the connection, so
	// a guest that does read gets the rest of it.
	writeGrace = 250 * time.Millisecond
	// maxStreams bounds the operations of one connection, with those that were
	// abandoned and that the guest has not finished yet.
	maxStreams = 1024
)

// Client is the host's end of the protocol on one connection. Operations may
// run concurrently; each has a stream of its own.
//
// One goroutine reads the connection and hands every frame to the operation it
// belongs to, which deals with it on its caller's goroutine. So a caller's
// writers are never used after the call returned. A slow writer of a program's
// output holds back that program alone, by its window; a slow writer of a Get
// holds back everything that is asked of that guest.
//
// A guest that breaks the protocol loses the connection: see ProtocolError.
type Client struct {
	conn    net.Conn
	writing chan struct{} // full while somebody writes to conn; a lock that a context can leave
	closing chan struct{} // closed by fail
	done    chan struct{} // closed when the reader has returned
	free    chan struct{} // the operation is done with the reader's buffer

	mu      sync.Mutex // guards what follows
	err     error      // why the connection ended; the first reason stays
	streams map[uint32]*stream
	frozen  bool   // Freeze has writing
	next    uint32 // the number to try for the next stream; START has 0
}

// stream is one operation's place in the connection.
type stream struct {
	id   uint32
	ends []Type        // the frames after which the guest has nothing more to say
	in   chan Frame    // from the reader
	gone chan struct{} // closed when the operation no longer listens
	held bool          // the operation still uses the last frame's payload
	// take, when it is not nil, is given the frames in place of in, on the reader's
	// goroutine: it must not block, nor keep the payload.
	take func(f Frame) error
}

// Identity is what a guest goes by. An empty name is left as it is.
type Identity struct {
	Hostname  string
	MachineID string // 32 hex digits
}

// Start greets the guest at the other end of conn and waits for its answer:
// seed is fresh randomness for it, now its wall clock, id its names. Programs
// that a snapshot brought along are detached: see Attach. The Client owns conn
// from here on, also when Start fails, and must be closed.
// Errors: CodeUnavailable when the guest speaks another version; GuestError when
// it could not take its names.
func Start(ctx context.Context, conn net.Conn, seed [64]byte, now time.Time, id Identity) (*Client, error) {
	c := &Client{
		conn:    conn,
		writing: make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		free:    make(chan struct{}),
		streams: map[uint32]*stream{},
	}
	go c.read()
	if err := c.greet(ctx, seed, now, id); err != nil {
		c.Close()
		return nil, fmt.Errorf("cannot greet the guest: %w", err)
	}
	return c, nil
}

func (c *Client) greet(ctx context.Context, seed [64]byte, now time.Time, id Identity) error {
	hello := Fields(nil).Bytes(seed[:]).U64(uint64(now.UnixNano())).String(id.Hostname).String(id.MachineID)
	st, err := c.request(ctx, TypeStart, hello, TypeReady, TypeErr)
	if err != nil {
		return err
	}
	defer c.leave(st)
	f, err := c.recv(ctx, st)
	if err != nil {
		return err
	}
	if f.Type == TypeErr {
		return c.refusal(f)
	}
	r := NewReader(f.Payload)
	version := r.U32()
	switch {
	case f.Type != TypeReady || r.Err != nil:
		return c.violation("it answered START with a frame of type %d", f.Type)
	case version != Version:
		return api.Errorf(api.CodeUnavailable, "cannot use the guest: because it speaks protocol version %d and Brig %d", version, Version).
			WithFix("build the template again: brig template build")
	}
	return nil
}

// Close ends the connection and waits for the reader. Operations that are under
// way return ErrClosed.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	<-c.done
	return nil
}

// Done is closed when the connection has ended, for whatever reason.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the connection ended, or nil while it lives. When the guest
// hung up it wraps io.EOF.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail ends the connection; the first reason is kept.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.closing)
	c.conn.Close()
}

// violation ends the connection because of what the guest did.
func (c *Client) violation(format string, args ...any) error {
	err := protocolErrorf(format, args...)
	c.fail(err)
	return err
}

// read is the one goroutine that reads the connection, until it ends. It reads
// the next frame only when the last one was dealt with: a single buffer is all
// the memory that the guest can make it use.
func (c *Client) read() {
	defer close(c.done)
	r := bufio.NewReaderSize(c.conn, readBuffer)
	var buf []byte
	for {
		f, err := ReadFrame(r, buf)
		if err != nil {
			c.fail(readError(err))
			return
		}
		buf = f.Payload[:cap(f.Payload)]
		st, err := c.route(f)
		if err != nil {
			c.fail(err)
			return
		}
		if st.take != nil {
			if err := st.take(f); err != nil {
				c.fail(err)
				return
			}
			continue
		}
		select {
		case st.in <- f:
		case <-st.gone:
			continue // abandoned: nobody wants the rest
		case <-c.closing:
			return
		}
		select {
		case <-c.free:
		case <-c.closing:
			return
		}
	}
}

func readError(err error) error {
	var bad *ProtocolError
	if errors.As(err, &bad) {
		return bad
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the guest hung up: %w", io.EOF)
	}
	return fmt.Errorf("cannot read from the guest: %w", err)
}

// route finds the operation that a frame belongs to, and retires its stream
// when this is the last frame of it: what follows on that number is a lie.
func (c *Client) route(f Frame) (*stream, error) {
	switch f.Type {
	case TypeData, TypeStdout, TypeStderr:
		if len(f.Payload) > MaxData {
			return nil, protocolErrorf("it sent %d bytes of data in one frame and %d are allowed", len(f.Payload), MaxData)
		}
	case TypeReady, TypeOK, TypeErr, TypeEntry, TypeEnd, TypeStarted, TypeExit, TypeWindow:
	default:
		return nil, protocolErrorf("it sent a frame of the unknown type %d", f.Type)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[f.Stream]
	if st == nil {
		return nil, protocolErrorf("it sent a frame of type %d on stream %d, which is not open", f.Type, f.Stream)
	}
	if slices.Contains(st.ends, f.Type) {
		delete(c.streams, f.Stream)
	}
	return st, nil
}
