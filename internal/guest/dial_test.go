package guest

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
)

func (c *Client) openStreams() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// TestOldGuest: an agent that has no connections and watches says so, and nothing of
// the attempt stays.
func TestOldGuest(t *testing.T) {
	c, _ := newPeer(t, func(p *peer, f Frame) {
		p.send(TypeErr, f.Stream, Fields(nil).U32(uint32(syscall.ENOSYS)).String("unknown request"))
	})
	if _, err := c.Dial(t.Context(), 80); !errors.Is(err, syscall.ENOSYS) {
		t.Errorf("connect: %v", err)
	}
	err := c.Watch(t.Context(), "/x", true, nil, func(api.FileChange) error { return nil })
	if !errors.Is(err, syscall.ENOSYS) {
		t.Errorf("watch: %v", err)
	}
	if n := c.openStreams(); n != 0 || c.Err() != nil {
		t.Errorf("%d streams are left, connection %v", n, c.Err())
	}
}

// TestAbandonedDial: a caller that went away before the peer answered has the guest
// hang up.
func TestAbandonedDial(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	c, _ := newPeer(t, func(p *peer, f Frame) {
		switch f.Type {
		case TypeDial:
			cancel()
		case TypeHangUp:
			p.send(TypeEnd, f.Stream, nil)
			close(ended)
		default:
			p.send(TypeOK, f.Stream, nil)
		}
	})
	if _, err := c.Dial(ctx, 80); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	<-ended
	if err := c.Reset(t.Context()); err != nil { // whose answer comes behind the END
		t.Errorf("the connection is lost: %v", err)
	}
	if n := c.openStreams(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}
