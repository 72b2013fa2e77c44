package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"syscall"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/host"
)

// Exec over a WebSocket, byte for byte and both ways. The client's first message
// is the request (JSON, text). Then, from the client:
//
//	binary                                 stdin, at most what a window allows
//	text {"eof":true}                      closes stdin
//	text {"resize":{"rows":R,"cols":C}}    of its terminal
//	text {"signal":"TERM","tree":false}    to the program's process group
//
// and from the server:
//
//	text {"started":{"pid":N}}
//	binary                                 one byte, 1 stdout or 2 stderr, and output
//	text {"window":N}                      N more bytes of stdin may be sent
//	text {"exit":{…}} or {"error":…}       the last one
//
// When the connection ends, the program is killed.
const (
	rawStdout = 1
	rawStderr = 2
	// rawWindow is how much stdin may be sent before the first window.
	rawWindow  = 256 << 10
	maxMessage = 1 << 20
)

type rawControl struct {
	EOF    bool          `json:"eof"`
	Resize *api.Terminal `json:"resize"`
	Signal string        `json:"signal"`
	Tree   bool          `json:"tree"`
}

func execRaw(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	conn, err := s.upgrade(w, r)
	if conn == nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	x := &rawExec{conn: conn, ctx: ctx}
	x.run(sb, cancel)
	return nil
}

// rawExec is one program over one connection.
type rawExec struct {
	conn *websocket.Conn
	ctx  context.Context
}

// run reads the request, runs it, says how it ended and waits for what it started.
func (x *rawExec) run(sb *control.Sandbox, cancel func()) {
	var req api.ExecRequest
	kind, b, err := x.conn.Read(x.ctx)
	if err != nil || kind != websocket.MessageText || json.Unmarshal(b, &req) != nil {
		x.end(api.ExecResponse{}, api.Errorf(api.CodeInvalid, "cannot run: because the first message is not a request").WithFix("send it as JSON text"))
		return
	}
	stdin := newWindowPipe(rawWindow, func(n int) { x.send(map[string]int{"window": n}) })
	run, err := sb.Start(x.ctx, req, host.Stdio{Stdin: stdin, Stdout: rawOutput{x, rawStdout}, Stderr: rawOutput{x, rawStderr}})
	if err != nil {
		x.end(api.ExecResponse{}, err)
		return
	}
	x.send(map[string]any{"started": map[string]int{"pid": run.PID()}})
	read := make(chan struct{})
	go func() {
		defer close(read)
		x.read(run, stdin)
		cancel() // the caller is gone, or was told of the end
	}()
	resp, err := run.Wait()
	stdin.CloseWithError(io.ErrClosedPipe)
	x.end(resp, err)
	<-read
}

// end says how the program ended and closes the connection.
func (x *rawExec) end(resp api.ExecResponse, err error) {
	if err != nil {
		x.send(describeError(err))
	} else {
		x.send(map[string]any{"exit": resp})
	}
	x.conn.Close(websocket.StatusNormalClosure, "")
}

// read passes on what the client sends, until it goes away.
func (x *rawExec) read(run *control.Running, stdin *windowPipe) {
	for {
		kind, b, err := x.conn.Read(x.ctx)
		if err != nil {
			stdin.CloseWithError(io.ErrUnexpectedEOF)
			return
		}
		if kind == websocket.MessageBinary {
			if stdin.put(b) != nil {
				return // it does not keep to the window
			}
			continue
		}
		var c rawControl
		if json.Unmarshal(b, &c) != nil {
			return
		}
		x.control(run, stdin, c)
	}
}

// control does what a text message says. What fails is the program's fate, or
// comes too late: its end tells.
func (x *rawExec) control(run *control.Running, stdin *windowPipe, c rawControl) {
	if c.EOF {
		stdin.CloseWithError(io.EOF)
	}
	if c.Resize != nil {
		_ = run.Resize(x.ctx, *c.Resize)
	}
	if n := api.SignalNumber(c.Signal); n > 0 {
		_ = run.Signal(x.ctx, syscall.Signal(n), c.Tree)
	}
}

func (x *rawExec) send(v any) {
	if b, err := json.Marshal(v); err == nil {
		_ = x.conn.Write(x.ctx, websocket.MessageText, b) // who is gone is seen by read
	}
}

// rawOutput sends output with its stream's number before it.
type rawOutput struct {
	x      *rawExec
	stream byte
}

func (o rawOutput) Write(p []byte) (int, error) {
	msg := make([]byte, 0, len(p)+1)
	if err := o.x.conn.Write(o.x.ctx, websocket.MessageBinary, append(append(msg, o.stream), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

var errWindow = errors.New("more than the window")

// windowPipe is a bounded queue of bytes: putting never blocks, since the other
// side was told how much it may send.
type windowPipe struct {
	max   int
	grant func(n int) // tells the other side that n more bytes fit

	mu   sync.Mutex
	cond *sync.Cond
	buf  []byte
	err  error // what Read gives when the queue is empty
	read int   // bytes that were read and not granted again yet
}

func newWindowPipe(max int, grant func(n int)) *windowPipe {
	p := &windowPipe{max: max, grant: grant}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *windowPipe) put(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.buf)+p.read+len(b) > p.max {
		p.fail(errWindow)
		return errWindow
	}
	if p.err == nil {
		p.buf = append(p.buf, b...)
		p.cond.Broadcast()
	}
	return nil
}

// CloseWithError ends the queue; the first reason counts.
func (p *windowPipe) CloseWithError(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail(err)
}

func (p *windowPipe) fail(err error) {
	if p.err == nil {
		p.err = err
		p.cond.Broadcast()
	}
}

// Read waits for bytes. It grants in large steps, so that few messages do.
func (p *windowPipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	for len(p.buf) == 0 && p.err == nil {
		p.cond.Wait()
	}
	if len(p.buf) == 0 {
		defer p.mu.Unlock()
		return 0, p.err
	}
	n := copy(b, p.buf)
	p.buf = p.buf[n:]
	if len(p.buf) == 0 {
		p.buf = nil
	}
	p.read += n
	give := 0
	if p.read >= p.max/4 && p.err == nil {
		give, p.read = p.read, 0
	}
	p.mu.Unlock()
	if give > 0 {
		p.grant(give)
	}
	return n, nil
}
