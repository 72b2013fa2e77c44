package guest

import (
	"context"
	"fmt"
)

// Freeze makes the connection and the guest quiet, for a snapshot. When it
// returns, the guest has read all that was sent and has sent all that it had to
// say; it leaves its programs' output and ends alone, and other operations wait,
// until Thaw. So a snapshot holds no half of a frame. Whether Freeze failed or
// not, Thaw must follow.
func (c *Client) Freeze(ctx context.Context) error {
	if err := c.claim(ctx); err != nil {
		return fmt.Errorf("cannot freeze the guest: %w", err)
	}
	if err := c.ordered(ctx, TypeFreeze); err != nil {
		c.yield()
		return fmt.Errorf("cannot freeze the guest: %w", err)
	}
	c.mu.Lock()
	c.frozen = true
	c.mu.Unlock()
	return nil
}

// Thaw ends a Freeze; without one it does nothing.
func (c *Client) Thaw(ctx context.Context) error {
	c.mu.Lock()
	frozen := c.frozen
	c.frozen = false
	c.mu.Unlock()
	if !frozen {
		if err := c.claim(ctx); err != nil {
			return fmt.Errorf("cannot thaw the guest: %w", err)
		}
	}
	defer c.yield()
	if err := c.ordered(ctx, TypeThaw); err != nil {
		return fmt.Errorf("cannot thaw the guest: %w", err)
	}
	return nil
}

// ordered sends a request without fields and waits for its OK; the caller has the
// right to write.
func (c *Client) ordered(ctx context.Context, t Type) error {
	st, err := c.open(TypeOK, TypeErr)
	if err != nil {
		return err
	}
	defer c.leave(st)
	if err := c.writeClaimed(ctx, AppendFrame(nil, Frame{Type: t, Stream: st.id})); err != nil {
		c.forget(st)
		return err
	}
	return c.answer(ctx, st)
}
