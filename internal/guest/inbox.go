package guest

import (
	"bytes"
	"context"
	"sync"
)

// inbox is a stream's frames on their way to who opened it. The connection's reader
// puts them in, and whoever opened the stream takes them out: so a slow taker holds
// back that stream alone. The protocol's output window bounds what is in it.
type inbox struct {
	c     *Client
	st    *stream
	ready chan struct{} // holds a token when the queue may have become longer
	taken int           // of the output window, by the taker, since room was last given

	mu     sync.Mutex // guards what follows
	queue  []Frame
	unread int  // of the output window, in the queue or with the taker
	words  int  // frames that may still come besides output
	left   bool // nobody listens any more: frames are dropped
}

// newInbox is for a stream on which that many frames may come besides output.
func newInbox(c *Client, st *stream, words int) *inbox {
	return &inbox{c: c, st: st, ready: make(chan struct{}, 1), words: words}
}

// put queues a frame; it runs on the connection's reader.
func (b *inbox) put(f Frame) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left {
		return nil
	}
	switch f.Type {
	case TypeStdout, TypeStderr:
		if b.unread += len(f.Payload) + OutputCost; b.unread > OutputWindow {
			return protocolErrorf("it sent more than the %d bytes of output that were granted", OutputWindow)
		}
	default: // as STARTED, and EXIT or ERR
		if b.words--; b.words < 0 {
			return protocolErrorf("it sent a frame of type %d amid a program's output", f.Type)
		}
	}
	f.Payload = bytes.Clone(f.Payload)
	b.queue = append(b.queue, f)
	select {
	case b.ready <- struct{}{}:
	default:
	}
	return nil
}

// next waits for the next frame, until ctx ends or failed does.
func (b *inbox) next(ctx, failed context.Context) (Frame, error) {
	for {
		if f, ok := b.pop(); ok {
			return f, nil
		}
		select {
		case <-b.ready:
		case <-ctx.Done():
			return Frame{}, context.Cause(ctx)
		case <-failed.Done():
			return Frame{}, context.Cause(failed)
		case <-b.c.done:
			if f, ok := b.pop(); ok {
				return f, nil
			}
			return Frame{}, b.c.Err()
		}
	}
}

func (b *inbox) pop() (Frame, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return Frame{}, false
	}
	f := b.queue[0]
	b.queue[0] = Frame{}
	b.queue = b.queue[1:]
	return f, true
}

// done is called when the taker is done with an output frame; it gives the guest as
// much room for more, not too often.
func (b *inbox) done(ctx context.Context, f Frame) error {
	b.taken += len(f.Payload) + OutputCost
	if b.taken < OutputWindow/2 {
		return nil
	}
	n := b.taken
	b.taken = 0
	b.mu.Lock()
	b.unread -= n
	b.mu.Unlock()
	return b.tell(ctx, TypeWindow, Fields(nil).U32(uint32(n)))
}

// tell sends a frame that has no answer, unless the stream has ended: then its
// number may belong to another operation already.
func (b *inbox) tell(ctx context.Context, t Type, payload []byte) error {
	if !b.c.speaks(b.st) {
		return nil
	}
	return b.c.write(ctx, AppendFrame(nil, Frame{Type: t, Stream: b.st.id, Payload: payload}))
}

// leave is called when nobody listens any more: the guest hears last, if it has not
// ended the stream, and what it still says is dropped.
func (b *inbox) leave(ctx context.Context, last Type, payload []byte) {
	b.mu.Lock()
	b.left, b.queue = true, nil
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveGrace)
	defer cancel()
	_ = b.tell(ctx, last, payload) // an error means that the connection is lost
	b.c.leave(b.st)
}
