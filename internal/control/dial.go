package control

import (
	"context"
	"net"
	"sync"

	"github.com/brigdev/brig/api"
)

// Dial connects to a TCP port on localhost inside. The sandbox is in use until the
// connection is closed. Errors are those of host.Session.Dial.
func (sb *Sandbox) Dial(ctx context.Context, port int) (net.Conn, error) {
	box, done, err := sb.use(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := box.Dial(ctx, port)
	if err != nil {
		done()
		return nil, sb.explain(box, err)
	}
	return &usedConn{Conn: conn, done: sync.OnceFunc(done)}, nil
}

// usedConn is a connection that counts as use of its sandbox.
type usedConn struct {
	net.Conn
	done func()
}

// Close ends the connection.
func (c *usedConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// CloseWrite tells the other side that nothing more comes.
func (c *usedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Lookup gives the sandbox with an id, whoever owns it: for routes whose
// permission is not an owner's key. CodeNotFound.
func (s *Service) Lookup(id string) (*Sandbox, error) {
	s.mu.Lock()
	sb := s.boxes[id]
	s.mu.Unlock()
	if sb == nil {
		return nil, api.Errorf(api.CodeNotFound, "cannot find sandbox %.80q: because there is none", id).
			WithFix("list them with 'brig sandbox ls'")
	}
	return sb, nil
}
