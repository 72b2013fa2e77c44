package client

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
)

// Ports lists the ports that something in the sandbox listens on, and those that
// were named.
func (sb *Sandbox) Ports(ctx context.Context) ([]api.Port, error) {
	var list []api.Port
	err := sb.c.call(ctx, http.MethodGet, sb.path("/ports"), nil, nil, &list)
	return list, err
}

// NamePort gives a port a label, and with Public opens it to everybody.
func (sb *Sandbox) NamePort(ctx context.Context, p api.Port) (api.Port, error) {
	err := sb.c.call(ctx, http.MethodPost, sb.path("/ports"), nil, p, &p)
	return p, err
}

// UnnamePort takes the label back, and closes the port to everybody else.
func (sb *Sandbox) UnnamePort(ctx context.Context, port int) error {
	return sb.c.call(ctx, http.MethodDelete, sb.path("/ports/"+strconv.Itoa(port)), nil, nil, nil)
}

// Preview makes a token that admits to one port, and an address with it.
func (sb *Sandbox) Preview(ctx context.Context, req api.PreviewRequest) (api.Preview, error) {
	var p api.Preview
	err := sb.c.call(ctx, http.MethodPost, sb.path("/preview-token"), nil, req, &p)
	return p, err
}

// Dial connects to a TCP port on localhost inside; ctx is for that only. The
// connection has CloseWrite besides. Errors: CodeUnavailable when nothing listens
// there.
func (sb *Sandbox) Dial(ctx context.Context, port int) (net.Conn, error) {
	header := http.Header{}
	if sb.c.key != "" {
		header.Set("Authorization", "Bearer "+sb.c.key)
	}
	address := strings.Replace(sb.c.url(sb.path("/ports/"+strconv.Itoa(port)+"/connect"), nil), "http", "ws", 1)
	conn, resp, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: sb.c.http, HTTPHeader: header})
	if err != nil {
		if resp != nil && resp.StatusCode >= 400 && resp.Body != nil {
			return nil, errorOf(resp)
		}
		return nil, sb.c.unreachable(ctx, err)
	}
	conn.SetReadLimit(maxMessage)
	return portConn{websocket.NetConn(context.WithoutCancel(ctx), conn, websocket.MessageBinary)}, nil
}

// portConn is a connection to a port.
type portConn struct{ net.Conn }

// Write sends b; no bytes would say that no more come.
func (c portConn) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return c.Conn.Write(b)
}

// CloseWrite tells the server inside that no more comes.
func (c portConn) CloseWrite() error {
	_, err := c.Conn.Write(nil)
	return err
}
