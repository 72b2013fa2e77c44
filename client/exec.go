package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
)

// Exec runs one program to its end and gives its output. When ctx ends, it is
// killed. A program that fails, or is ended at a limit, is no error.
func (sb *Sandbox) Exec(ctx context.Context, req api.ExecRequest) (api.ExecResponse, error) {
	req.OnTimeout = "result"
	var resp api.ExecResponse
	err := sb.post(ctx, "/exec", req, &resp)
	return resp, err
}

// Stdio connects a program's streams, byte for byte. Nil Stdin is empty; nil
// writers discard.
type Stdio struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Resize has the new sizes of its terminal.
	Resize <-chan api.Terminal
	// Signals are sent to the program: "INT", "TERM".
	Signals <-chan string
}

// What the messages of an exec are: internal/httpapi/raw.go describes them.
const (
	streamStdout = 1
	streamStderr = 2
	stdinWindow  = 256 << 10
	maxMessage   = 1 << 20
)

// Run runs one program with live streams. It reads no more of Stdin than the
// program takes, but for a buffer. A writer that blocks holds back the program.
// When ctx ends, it is killed. A read of Stdin that blocks is left behind.
func (sb *Sandbox) Run(ctx context.Context, req api.ExecRequest, stdio Stdio) (api.ExecResponse, error) {
	header := http.Header{}
	if sb.c.key != "" {
		header.Set("Authorization", "Bearer "+sb.c.key)
	}
	url := strings.Replace(sb.c.url(sb.path("/exec/raw"), nil), "http", "ws", 1)
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: sb.c.http, HTTPHeader: header})
	if err != nil {
		if resp != nil && resp.StatusCode >= 400 && resp.Body != nil {
			return api.ExecResponse{}, errorOf(resp)
		}
		return api.ExecResponse{}, sb.c.unreachable(ctx, err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(ctx)
	x := &execution{conn: conn, ctx: ctx, stdio: stdio, window: newWindow(stdinWindow)}
	var senders sync.WaitGroup
	defer senders.Wait()
	defer x.window.close()
	defer cancel()
	if err := x.send(req); err != nil {
		return api.ExecResponse{}, broken(ctx, err)
	}
	go x.sendStdin() // not waited for: it may be in a read that nobody can end
	senders.Go(x.sendControl)
	return x.receive()
}

// execution is one program over one connection.
type execution struct {
	conn   *websocket.Conn
	ctx    context.Context
	stdio  Stdio
	window *window
}

func (x *execution) send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return x.conn.Write(x.ctx, websocket.MessageText, b)
}

// sendStdin passes Stdin on, as far as the server lets it.
func (x *execution) sendStdin() {
	buf := make([]byte, 32<<10)
	for x.stdio.Stdin != nil {
		n := x.window.take(len(buf))
		if n == 0 {
			return // the program has ended
		}
		got, err := x.stdio.Stdin.Read(buf[:n])
		x.window.give(n - got)
		if got > 0 && x.conn.Write(x.ctx, websocket.MessageBinary, buf[:got]) != nil {
			return
		}
		if err != nil {
			break
		}
	}
	_ = x.send(map[string]bool{"eof": true}) // the program has ended if this fails
}

func (x *execution) sendControl() {
	for {
		var err error
		select {
		case <-x.ctx.Done():
			return
		case size := <-x.stdio.Resize:
			err = x.send(map[string]api.Terminal{"resize": size})
		case sig := <-x.stdio.Signals:
			err = x.send(map[string]string{"signal": sig})
		}
		if err != nil {
			return
		}
	}
}

// receive passes the program's output on until its end.
func (x *execution) receive() (api.ExecResponse, error) {
	for {
		kind, b, err := x.conn.Read(x.ctx)
		if err != nil {
			return api.ExecResponse{}, broken(x.ctx, err)
		}
		if kind == websocket.MessageBinary {
			if err := x.output(b); err != nil {
				return api.ExecResponse{}, err
			}
			continue
		}
		var msg struct {
			Window int               `json:"window"`
			Exit   *api.ExecResponse `json:"exit"`
			Error  string            `json:"error"`
		}
		if err := json.Unmarshal(b, &msg); err != nil {
			return api.ExecResponse{}, broken(x.ctx, err)
		}
		switch {
		case msg.Error != "":
			return api.ExecResponse{}, wireError(b, http.StatusInternalServerError)
		case msg.Exit != nil:
			x.conn.Close(websocket.StatusNormalClosure, "")
			return *msg.Exit, nil
		}
		x.window.give(msg.Window)
	}
}

func (x *execution) output(b []byte) error {
	if len(b) == 0 {
		return broken(x.ctx, errors.New("an empty message"))
	}
	w := x.stdio.Stdout
	if b[0] == streamStderr {
		w = x.stdio.Stderr
	}
	if w == nil {
		return nil
	}
	_, err := w.Write(b[1:])
	return err
}

// window is how much stdin the server can still take.
type window struct {
	mu     sync.Mutex
	cond   *sync.Cond
	left   int
	closed bool
}

func newWindow(n int) *window {
	w := &window{left: n}
	w.cond = sync.NewCond(&w.mu)
	return w
}

// take waits for at least one byte and takes up to max; 0 when the window is
// closed.
func (w *window) take(max int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.left == 0 && !w.closed {
		w.cond.Wait()
	}
	if w.closed {
		return 0
	}
	n := min(max, w.left)
	w.left -= n
	return n
}

func (w *window) give(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left += n
	w.cond.Broadcast()
}

func (w *window) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.cond.Broadcast()
}
