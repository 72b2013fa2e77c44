package kernel

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// maxAnswer bounds the answer that a kernel from a snapshot is found by.
const maxAnswer = 4 << 10

// Conn is the host's end of one kernel: it is written to with the kernel's
// standard output, and what it gives to read is the kernel's standard input.
// Events are handed over on the goroutine that writes, so whoever takes them
// slowly holds back the kernel.
type Conn struct {
	In    *Inbox
	ready chan struct{} // closed by the first event
	ended chan struct{} // closed by Close

	out     decoder
	marker  []byte // of Sync; nil when frames are in step
	skipped []byte // the last of what came before it

	handing sync.Mutex // held while an event is with its taker

	mu    sync.Mutex // guards what follows
	said  bool       // ready is closed
	next  uint64
	call  *Call // the one under way, or nil
	cause error // why it ended
}

// Call is one request under way.
type Call struct {
	id   uint64
	on   func(Event)
	done chan Event
}

// Done gets the request's end.
func (c *Call) Done() <-chan Event { return c.done }

// NewConn makes the end for a kernel that starts; Close it.
func NewConn() *Conn {
	return &Conn{In: newInbox(), ready: make(chan struct{}), ended: make(chan struct{})}
}

// Ready is closed when the kernel waits for its first request.
func (c *Conn) Ready() <-chan struct{} { return c.ready }

// Ended is closed when the kernel can say no more; Err says why.
func (c *Conn) Ended() <-chan struct{} { return c.ended }

// Err is what Close was told.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Close ends the connection; the first cause is kept.
func (c *Conn) Close(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.ended:
	default:
		c.cause = cause
		close(c.ended)
		c.In.close()
	}
}

// Send sends a request; the one before must have ended or been abandoned. on gets
// its events but the last, one at a time, and must not block for long.
func (c *Conn) Send(r Request, on func(Event)) (*Call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	r.ID = c.next
	frame, err := encode(r)
	if err != nil {
		return nil, err
	}
	c.call = &Call{id: r.ID, on: on, done: make(chan Event, 1)}
	c.In.put(frame)
	return c.call, nil
}

// Abandon has later events of a request dropped. When it returns, its taker is no
// longer used.
func (c *Conn) Abandon(call *Call) {
	c.handing.Lock()
	defer c.handing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.call == call {
		c.call = nil
	}
}

// Do sends a request and waits for its end; events are dropped.
func (c *Conn) Do(ctx context.Context, r Request) (Event, error) {
	call, err := c.Send(r, func(Event) {})
	if err != nil {
		return Event{}, err
	}
	select {
	case e := <-call.Done():
		if e.Failed != "" {
			return e, fmt.Errorf("the kernel says %.500q", e.Failed)
		}
		return e, nil
	case <-c.ended:
		return Event{}, c.Err()
	case <-ctx.Done():
		c.Abandon(call)
		return Event{}, context.Cause(ctx)
	}
}

// Sync prepares a request for a kernel that was taken from a snapshot, maybe in
// the middle of a frame: what comes before the request's answer is skipped. It is
// called before the first byte is read.
func (c *Conn) Sync(r Request) Request {
	r.Sync = rand.Text()
	c.marker = []byte(r.Sync + `"}`)
	return r
}

// Write takes what the kernel says. An error is about what it did wrong; the
// connection is closed by then.
func (c *Conn) Write(p []byte) (int, error) {
	n := len(p)
	if c.marker != nil {
		if p = c.seek(p); p == nil {
			return n, nil
		}
	}
	if err := c.out.feed(p, c.take); err != nil {
		err = fmt.Errorf("the kernel broke the protocol: %w", err)
		c.Close(err)
		return 0, err
	}
	return n, nil
}

// seek skips what comes before the marker, which is the end of the answer, and
// gives what follows it; nil when it has not come.
func (c *Conn) seek(p []byte) []byte {
	c.skipped = append(c.skipped, p...)
	i := bytes.Index(c.skipped, c.marker)
	if i < 0 {
		keep := min(len(c.skipped), maxAnswer)
		c.skipped = append(c.skipped[:0], c.skipped[len(c.skipped)-keep:]...)
		return nil
	}
	end := i + len(c.marker)
	rest := append([]byte{}, c.skipped[end:]...)
	var e Event
	start := bytes.LastIndex(c.skipped[:end], []byte(`{"id":`))
	if start < 0 || json.Unmarshal(c.skipped[start:end], &e) != nil {
		e = Event{Type: TypeEnd, Failed: "its answer cannot be read"}
	}
	c.mu.Lock()
	e.ID = c.next
	c.mu.Unlock()
	c.skipped, c.marker = nil, nil
	c.take(e)
	return rest
}

// take hands an event to the request that it belongs to. One of a request that
// was abandoned is late and nobody's.
func (c *Conn) take(e Event) {
	c.handing.Lock()
	defer c.handing.Unlock()
	c.mu.Lock()
	if e.Type == TypeReady && !c.said {
		c.said = true
		close(c.ready)
	}
	call := c.call
	if call == nil || call.id != e.ID {
		c.mu.Unlock()
		return
	}
	if e.Type == TypeEnd {
		c.call = nil
	}
	c.mu.Unlock()
	if e.Type == TypeEnd {
		call.done <- e
		return
	}
	call.on(e)
}

// Inbox is what a kernel reads: requests, one after the other.
type Inbox struct {
	mu     sync.Mutex
	more   *sync.Cond
	buf    []byte
	closed bool
}

func newInbox() *Inbox {
	in := &Inbox{}
	in.more = sync.NewCond(&in.mu)
	return in
}

func (in *Inbox) put(p []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.buf = append(in.buf, p...)
	in.more.Broadcast()
}

func (in *Inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed, in.buf = true, nil
	in.more.Broadcast()
}

// Read waits for a request, or for Close.
func (in *Inbox) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.buf) == 0 && !in.closed {
		in.more.Wait()
	}
	if in.closed {
		return 0, io.EOF
	}
	n := copy(p, in.buf)
	in.buf = in.buf[n:]
	if len(in.buf) == 0 {
		in.buf = nil
	}
	return n, nil
}
