package host

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/brigdev/brig/api"
)

// Dial connects to a TCP port on localhost inside.
func (s *session) Dial(ctx context.Context, port int) (net.Conn, error) {
	if port < 1 || port > 65535 {
		return nil, api.Errorf(api.CodeInvalid, "cannot connect to port %d: because there is no such port", port).WithFix("use 1 to 65535")
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	conn, err := s.client.Dial(ctx, port)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, api.Errorf(api.CodeUnavailable, "cannot connect to port %d of sandbox %s: because nothing listens there", port, s.id).
			WithFix("start a server in the sandbox that listens on 127.0.0.1 or all addresses")
	case errors.Is(err, syscall.EMFILE):
		return nil, api.Errorf(api.CodeExhausted, "cannot connect to port %d of sandbox %s: because it has too many connections", port, s.id).
			WithFix("close some of them")
	case errors.Is(err, syscall.ENOSYS):
		return nil, s.errOldGuest("connect to a port")
	}
	return nil, s.boxError(ctx, "connect to a port", err)
}

// errOldGuest is for a sandbox from a snapshot that an older Brig took.
func (s *session) errOldGuest(doing string) error {
	return api.Errorf(api.CodeUnsupported, "cannot %s, sandbox %s: because its snapshot was taken by an older Brig", doing, s.id).
		WithFix("make a new sandbox from the template")
}
