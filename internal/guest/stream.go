package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/brigdev/brig/api"
)

// open makes a stream for one operation. ends are the frames that finish it.
func (c *Client) open(ends ...Type) (*stream, error) {
	st := &stream{ends: ends, in: make(chan Frame), gone: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if len(c.streams) >= maxStreams {
		return nil, api.Errorf(api.CodeExhausted, "cannot ask the guest for more: because %d operations wait for it", maxStreams).
			WithFix("destroy the sandbox: its guest does not answer")
	}
	for c.streams[c.next] != nil { // after 2³² operations an old one may still be there
		c.next++
	}
	st.id = c.next
	c.next++
	c.streams[st.id] = st
	return st, nil
}

// leave is called when an operation is over. If the guest has not finished its
// stream, what still comes on it is dropped.
func (c *Client) leave(st *stream) {
	c.release(st)
	close(st.gone)
}

// forget takes back a stream that the guest has never heard of.
func (c *Client) forget(st *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, st.id)
}

// speaks says whether the guest has not finished the stream yet.
func (c *Client) speaks(st *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == nil && c.streams[st.id] == st
}

// request opens a stream with a single frame.
func (c *Client) request(ctx context.Context, t Type, payload []byte, ends ...Type) (*stream, error) {
	st, err := c.open(ends...)
	if err != nil {
		return nil, err
	}
	b, err := appendRequest(nil, Frame{Type: t, Stream: st.id, Payload: payload})
	if err == nil {
		err = c.write(ctx, b)
	}
	if err != nil {
		c.forget(st)
		return nil, err
	}
	return st, nil
}

// appendRequest is AppendFrame for payloads that hold what a caller gave, which
// may be too long for a frame.
func appendRequest(b []byte, f Frame) ([]byte, error) {
	if len(f.Payload) > MaxFrame-5 {
		return nil, api.Errorf(api.CodeInvalid, "cannot send the request to the guest: because its arguments take %s and the limit is %s",
			api.FormatBytes(int64(len(f.Payload))), api.FormatBytes(MaxFrame-5)).
			WithFix("put large values into a file inside the sandbox")
	}
	return AppendFrame(b, f), nil
}

// recv waits for the stream's next frame. Its payload is good until the next
// recv, release or leave. A cancelled context gives its cause.
func (c *Client) recv(ctx context.Context, st *stream) (Frame, error) {
	c.release(st)
	select {
	case f := <-st.in:
		st.held = true
		return f, nil
	case <-ctx.Done():
		return Frame{}, context.Cause(ctx)
	case <-c.done:
		return Frame{}, c.Err()
	}
}

// release lets the reader use its buffer again.
func (c *Client) release(st *stream) {
	if !st.held {
		return
	}
	st.held = false
	select {
	case c.free <- struct{}{}:
	case <-c.done:
	}
}

// write sends b, which is one or more whole frames, with one Write. When ctx
// ends before the guest took all of it, the connection is lost, because the
// guest could not make sense of what comes after half a frame.
func (c *Client) write(ctx context.Context, b []byte) error {
	if err := c.claim(ctx); err != nil {
		return err
	}
	defer c.yield()
	return c.writeClaimed(ctx, b)
}

// claim waits for the right to write; yield gives it back.
func (c *Client) claim(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case c.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.closing:
		return c.Err()
	}
}

func (c *Client) yield() { <-c.writing }

func (c *Client) writeClaimed(ctx context.Context, b []byte) error {
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.conn.SetWriteDeadline(time.Now().Add(writeGrace))
		close(cut)
	})
	n, err := c.conn.Write(b)
	if !stop() {
		<-cut
		c.conn.SetWriteDeadline(time.Time{})
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if n > 0 {
			c.fail(fmt.Errorf("the guest does not read: %w", err))
		}
		return context.Cause(ctx)
	}
	// The reader finds out what happened: the guest's last words may still be
	// on their way.
	if ended := c.Err(); ended != nil {
		return ended
	}
	return fmt.Errorf("cannot write to the guest: %w", err)
}

// answer waits for the OK or ERR that ends a stream.
func (c *Client) answer(ctx context.Context, st *stream) error {
	f, err := c.recv(ctx, st)
	switch {
	case err != nil:
		return err
	case f.Type == TypeOK:
		return nil
	case f.Type == TypeErr:
		return c.refusal(f)
	}
	return c.violation("it sent a frame of type %d where OK or ERR was due", f.Type)
}

// refusal is the error that an ERR frame stands for.
func (c *Client) refusal(f Frame) error {
	err := decodeErr(f.Payload)
	var bad *ProtocolError
	if errors.As(err, &bad) {
		c.fail(bad)
	}
	return err
}
