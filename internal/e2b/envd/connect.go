package envd

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Connect with JSON, as much of it as clients use: unary calls are plain JSON, a
// server's stream is frames of one flag byte, a length of four bytes, and JSON.
const (
	frameHeader = 5
	flagEnd     = 2
	maxMessage  = 16 << 20 // bytes of one request, such as a piece of stdin

	defaultKeepalive = 90 * time.Second
	maxDeadline      = 24 * time.Hour
)

func isRPC(path string) bool {
	return strings.HasPrefix(path, "/process.Process/") || strings.HasPrefix(path, "/filesystem.Filesystem/")
}

// unary is a call with one answer.
func unary[Req, Resp any](do func(s *Server, c *call, req Req) (Resp, error)) handler {
	return func(s *Server, c *call) error {
		if !isType(c, "application/json") {
			return nil
		}
		body, err := readAll(c)
		if err != nil {
			return err
		}
		var req Req
		if err := json.Unmarshal(body, &req); err != nil {
			return badMessage(err)
		}
		resp, err := do(s, c, req)
		if err != nil {
			return err
		}
		writeJSON(c.w, http.StatusOK, resp)
		return nil
	}
}

// stream is a call with many answers. Its failures are its last frame.
func stream[Req any](do func(s *Server, c *call, req Req, out *frames) error) handler {
	return func(s *Server, c *call) error {
		if !isType(c, "application/connect+json") {
			return nil
		}
		out := &frames{w: c.w, rc: http.NewResponseController(c.w)}
		c.w.Header().Set("Content-Type", "application/connect+json")
		var req Req
		err := readMessage(c, &req)
		if err == nil {
			err = do(s, c, req, out)
		}
		if c.Context().Err() != nil {
			return nil // nobody hears of it
		}
		var e *rpcError
		if err != nil {
			if e = c.failure(err); e.Code == codeInternal {
				s.log.Warn("stream failed", "sandbox", c.sb.ID(), "path", c.URL.Path, "error", err)
			}
		}
		out.end(e)
		return nil
	}
}

// isType tells whether the request is in the one encoding that is served, and
// answers if it is not.
func isType(c *call, want string) bool {
	if got, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err == nil && got == want {
		return true
	}
	c.w.Header().Set("Accept-Post", want)
	writeJSON(c.w, http.StatusUnsupportedMediaType, rpcError{codeUnimplemented, "only " + want + " is served here"})
	return false
}

// readAll reads a whole message, compressed or not, and its end: that is when the
// server begins to see that the client goes away.
func readAll(c *call) ([]byte, error) {
	c.Body = http.MaxBytesReader(c.w, c.Body, maxMessage)
	r, err := decoded(c)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
	if err == nil && len(body) > maxMessage {
		err = &http.MaxBytesError{Limit: maxMessage}
	}
	if err != nil {
		return nil, badMessage(err)
	}
	return body, nil
}

// readMessage reads the one message of a stream's request.
func readMessage(c *call, v any) error {
	body, err := readAll(c)
	if err != nil {
		return err
	}
	if len(body) < frameHeader || body[0] != 0 || uint64(binary.BigEndian.Uint32(body[1:])) != uint64(len(body)-frameHeader) {
		return &rpcError{codeInvalid, "cannot read the request: because it is not one frame that is not compressed"}
	}
	if err := json.Unmarshal(body[frameHeader:], v); err != nil {
		return badMessage(err)
	}
	return nil
}

func badMessage(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &rpcError{codeExhausted, "cannot read the request: because it is larger than 16 MiB"}
	}
	return &rpcError{codeInvalid, "cannot read the request: because it is not the JSON that this call takes"}
}

// frames writes a stream. Its methods may be called concurrently.
type frames struct {
	w  io.Writer
	rc *http.ResponseController

	mu   sync.Mutex
	buf  bytes.Buffer
	last time.Time // when the last frame was sent
}

// send writes one message and has it leave at once.
func (f *frames) send(v any) error { return f.write(0, v) }

func (f *frames) write(flag byte, v any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf.Reset()
	f.buf.Write([]byte{flag, 0, 0, 0, 0})
	if err := json.NewEncoder(&f.buf).Encode(v); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(f.buf.Bytes()[1:], uint32(f.buf.Len()-frameHeader))
	if _, err := f.w.Write(f.buf.Bytes()); err != nil {
		return err
	}
	f.last = time.Now()
	return f.rc.Flush()
}

// end writes the last frame.
func (f *frames) end(e *rpcError) {
	_ = f.write(flagEnd, struct {
		Error *rpcError `json:"error,omitempty"`
	}{e}) // the caller is gone if this fails
}

// keepAlive sends v whenever nothing was sent for as long as the client asked,
// until stop, which waits for it.
func (f *frames) keepAlive(c *call, v any) (stop func()) {
	every := defaultKeepalive
	if n, err := strconv.Atoi(c.Header.Get("Keepalive-Ping-Interval")); err == nil && n > 0 && n < 3600 {
		every = time.Duration(n) * time.Second
	}
	quit, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if f.idle() >= every/2 && f.send(v) != nil {
				return
			}
		}
	}()
	return func() { close(quit); <-over }
}

func (f *frames) idle() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.last)
}

// deadline is how long the client gives the call; 0 when it does not say.
func (c *call) deadline() time.Duration {
	ms, err := strconv.ParseInt(c.Header.Get("Connect-Timeout-Ms"), 10, 64)
	if err != nil || ms <= 0 {
		return 0
	}
	return min(time.Duration(min(ms, maxDeadline.Milliseconds()))*time.Millisecond, maxDeadline)
}

// within is the call's context with its deadline; late tells whether that is what
// ended it.
func (c *call) within() (ctx context.Context, cancel func(), late func() bool) {
	d := c.deadline()
	if d == 0 {
		return c.Context(), func() {}, func() bool { return false }
	}
	ctx, cancel = context.WithTimeout(c.Context(), d)
	return ctx, cancel, func() bool { return c.Context().Err() == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) }
}

func errLate() error { return &rpcError{codeDeadline, "the deadline of the call has passed"} }
