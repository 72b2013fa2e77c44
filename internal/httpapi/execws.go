package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/control"
)

// Programs over one WebSocket, each with an id that the client chose, a string or a
// number. All messages are JSON text. From the client:
//
//	{"id":1,"cmd":"…"}        runs a program; the other fields of exec/stream, too
//	{"id":1,"resume":"…"}     goes on behind a message that had this "at"
//	{"id":1,"cancel":true}    kills it with all that it started
//
// and from the server, about one id in order:
//
//	{"id":1,"process":"p-…","at":"…"}                    it has started
//	{"id":1,"stream":"stdout","data":"…","at":"…"}       output; "base64" beside, where
//	                                                     it is not UTF-8
//	{"id":1,"lost":N}                                    bytes that came too late for
//	{"id":1,"exit":N,"result":{…}} or {"id":1,"error":"…"}   the last one
//
// When the connection is lost, programs go on for resume_seconds.
const (
	maxSocketExecs = 32 // at a time
	maxSocketID    = 100
	socketPing     = 20 * time.Second
)

// socketRequest is a message of the client's.
type socketRequest struct {
	ID json.RawMessage `json:"id"`
	streamBody
	Resume string `json:"resume"`
	Cancel bool   `json:"cancel"`
}

// socketReply is one of the server's.
type socketReply struct {
	ID      json.RawMessage   `json:"id"`
	Process string            `json:"process,omitempty"`
	Stream  string            `json:"stream,omitempty"`
	Data    string            `json:"data,omitempty"`
	Base64  []byte            `json:"base64,omitempty"`
	Lost    int64             `json:"lost,omitempty"`
	Exit    *int              `json:"exit,omitempty"`
	Result  *api.ExecResponse `json:"result,omitempty"`
	Error   string            `json:"error,omitempty"`
	Code    string            `json:"code,omitempty"`
	Fix     string            `json:"fix,omitempty"`
	At      string            `json:"at,omitempty"`
}

func execSocket(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	conn, err := s.upgrade(w, r)
	if conn == nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxExecBody)
	ctx, cancel := context.WithCancel(r.Context())
	x := &execConn{conn: conn, ctx: ctx, sb: sb, runs: map[string]string{}, ran: func(note *audit.Note) {
		s.recordProgram(r.Request, note, w.Header().Get("X-Request-Id"))
	}}
	defer x.work.Wait()
	defer cancel()
	x.work.Go(x.ping)
	x.read()
	return nil
}

// execConn is the programs of one connection.
type execConn struct {
	conn *websocket.Conn
	ctx  context.Context
	sb   *control.Sandbox
	ran  func(*audit.Note) // a program was started
	work sync.WaitGroup

	mu   sync.Mutex
	runs map[string]string // the processes under way, by the client's ids
}

// ping finds out that the client is gone, and keeps the connection from looking
// dead.
func (x *execConn) ping() {
	tick := time.NewTicker(socketPing)
	defer tick.Stop()
	for {
		select {
		case <-x.ctx.Done():
			return
		case <-tick.C:
			ctx, cancel := context.WithTimeout(x.ctx, socketPing)
			err := x.conn.Ping(ctx)
			cancel()
			if err != nil {
				x.conn.CloseNow() // ends read
				return
			}
		}
	}
}

// read does what the client asks for, until it goes away.
func (x *execConn) read() {
	for {
		kind, b, err := x.conn.Read(x.ctx)
		if err != nil {
			return
		}
		var req socketRequest
		if kind != websocket.MessageText || json.Unmarshal(b, &req) != nil || len(req.ID) == 0 || len(req.ID) > maxSocketID {
			x.conn.Close(websocket.StatusUnsupportedData, "a message is JSON text with a short id")
			return
		}
		if req.Cancel {
			x.cancel(req.ID)
			continue
		}
		if err := x.begin(req); err != nil {
			x.fail(req.ID, err)
		}
	}
}

// begin starts or resumes a program and has its output sent.
func (x *execConn) begin(req socketRequest) error {
	if err := x.take(string(req.ID)); err != nil {
		return err
	}
	from, err := x.start(req)
	if err != nil {
		x.release(string(req.ID))
		return err
	}
	x.mu.Lock()
	x.runs[string(req.ID)] = from.process
	x.mu.Unlock()
	x.send(socketReply{ID: req.ID, Process: from.process, At: from.String()})
	x.work.Go(func() {
		defer x.release(string(req.ID))
		run := &replay{sb: x.sb, at: from, send: func(at place, name string, v any) error { return x.send(replyOf(req.ID, at, name, v)) }}
		run.run(x.ctx)
	})
	return nil
}

func (x *execConn) start(req socketRequest) (place, error) {
	if req.Resume == "" {
		note := &audit.Note{}
		p, err := x.sb.StreamProcess(audit.With(x.ctx, note), req.ExecRequest, req.ResumeSeconds)
		if err == nil {
			x.ran(note)
		}
		return place{process: p.ID}, err
	}
	at, err := parsePlace(req.Resume)
	if err != nil {
		return at, err
	}
	_, err = x.sb.Process(at.process)
	return at, err
}

// take reserves an id.
func (x *execConn) take(id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, taken := x.runs[id]; taken {
		return api.Errorf(api.CodeConflict, "cannot run: because the id %s is in use on this connection", id).WithFix("choose another")
	}
	if len(x.runs) >= maxSocketExecs {
		return api.Errorf(api.CodeExhausted, "cannot run: because %d programs run on this connection", maxSocketExecs).WithFix("wait for one, or open another connection")
	}
	x.runs[id] = ""
	return nil
}

func (x *execConn) release(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.runs, id)
}

// cancel kills a program; its end is told as any other. One that has ended is not
// to be found any more, which is what its caller wanted.
func (x *execConn) cancel(id json.RawMessage) {
	x.mu.Lock()
	process := x.runs[string(id)]
	x.mu.Unlock()
	if process != "" {
		_ = x.sb.SignalProcess(x.ctx, process, syscall.SIGKILL, true)
	}
}

func (x *execConn) fail(id json.RawMessage, err error) {
	e := describeError(err)
	x.send(socketReply{ID: id, Error: e.Error, Code: e.Code, Fix: e.Fix})
}

// replyOf is an event of a stream as a message.
func replyOf(id json.RawMessage, at place, name string, v any) socketReply {
	out := socketReply{ID: id, At: at.String()}
	switch v := v.(type) {
	case chunkEvent:
		out.Stream, out.Data, out.Base64 = name, v.Chunk, v.Base64
	case lostEvent:
		out.Lost = v.Bytes
	case *api.ExecResponse:
		out.Exit, out.Result = &v.ExitCode, v
	case errorBody:
		out.Error, out.Code, out.Fix = v.Error, v.Code, v.Fix
	}
	return out
}

// send fails when the client is gone, which read sees too.
func (x *execConn) send(v socketReply) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return x.conn.Write(x.ctx, websocket.MessageText, b)
}
