package httpapi

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// tunnelPort connects the caller to a port, whatever is spoken there: binary messages
// are bytes, both ways. An empty one from the client says that no more come; when the
// server inside has said all, the WebSocket is closed.
func tunnelPort(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	port, ok := portOf(r.PathValue("port"))
	if !ok {
		return errNoPort()
	}
	inside, err := sb.Dial(r.Context(), port)
	if err != nil {
		return err
	}
	defer inside.Close()
	conn, err := s.upgrade(w, r)
	if conn == nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(r.Context())
	read := make(chan struct{})
	go func() {
		defer close(read)
		readTunnel(ctx, conn, inside)
		inside.Close() // the client is gone, and nobody hears what comes
	}()
	_, err = io.CopyBuffer(binaryWriter{ctx, conn}, onlyReader{inside}, make([]byte, 32<<10))
	if err == nil {
		conn.Close(websocket.StatusNormalClosure, "")
	} else {
		conn.Close(websocket.StatusInternalError, "the connection inside broke off")
	}
	cancel()
	<-read
	return nil
}

// onlyReader has no other methods that io.Copy would prefer.
type onlyReader struct{ io.Reader }

// readTunnel passes on what the client says, until it goes away. A server inside that
// takes no more has the rest thrown away: it may still have something to say.
func readTunnel(ctx context.Context, conn *websocket.Conn, inside net.Conn) {
	for {
		kind, b, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageBinary {
			continue
		}
		if len(b) > 0 {
			_, _ = inside.Write(b)
		} else if half, ok := inside.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}
}
