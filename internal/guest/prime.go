package guest

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Prime has the warm interpreter at the other end of conn touch what a program
// touches, and waits until that is done. It comes before Start, on a box that
// waits for a caller; it says nothing about the box that the caller could trust.
func Prime(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	f, err := primed(conn)
	if !stop() { // the deadline is set, or will be: conn is of no more use
		return fmt.Errorf("cannot prime the guest: because %w", context.Cause(ctx))
	}
	switch {
	case err != nil:
		return fmt.Errorf("cannot prime the guest: because %w", err)
	case f.Type != TypeStarted:
		return fmt.Errorf("cannot prime the guest: because it answered with a frame of type %d", f.Type)
	}
	return nil
}

func primed(conn net.Conn) (Frame, error) {
	if _, err := conn.Write(AppendFrame(nil, Frame{Type: TypePrime, Stream: 1})); err != nil {
		return Frame{}, err
	}
	return ReadFrame(conn, nil)
}
