package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/brigdev/brig/api"
)

// reconnectWithin is how long Stream tries to come back after its connection was
// lost; the server waits for it longer.
const (
	reconnectWithin = 12 * time.Second
	// maxIdleReconnects is how many connections may break without an event.
	maxIdleReconnects = 10
	killWithin        = 5 * time.Second
)

// Stream runs one program and writes what it prints as it comes, byte for byte; a
// character is never cut. When the connection is lost, it comes back and goes on where
// it was; the program waits for it for a while. A writer that blocks holds back
// the program. When ctx ends, or a writer fails, the program is killed with all that
// it started.
func (sb *Sandbox) Stream(ctx context.Context, req api.ExecRequest, stdout, stderr io.Writer) (api.ExecResponse, error) {
	req.OnTimeout = "result"
	resp, err := sb.c.openEvents(ctx, http.MethodPost, sb.path("/exec/stream"), nil, req, nil)
	if err != nil {
		return api.ExecResponse{}, err
	}
	process := resp.Header.Get("X-Exec-Id")
	s := &streaming{sb: sb, at: process + ":0", stdout: stdout, stderr: stderr}
	defer func() {
		if s.end == nil && process != "" {
			s.giveUp(ctx, sb.Process(process))
		}
	}()
	for idle := 0; ; idle++ {
		before := s.at
		cause := s.read(resp)
		if s.at != before {
			idle = 0
		}
		switch {
		case s.end != nil:
			return *s.end, nil
		case s.failed != nil:
			return api.ExecResponse{}, s.failed
		case idle == maxIdleReconnects:
			return api.ExecResponse{}, broken(ctx, cause)
		}
		if resp, err = s.resume(ctx); err != nil {
			return api.ExecResponse{}, broken(ctx, errors.Join(cause, err))
		}
	}
}

// giveUp kills a program whose end nobody wants to see any more. The server does so
// by itself, later, where that fails.
func (s *streaming) giveUp(ctx context.Context, p *Process) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killWithin)
	defer cancel()
	_ = p.Signal(ctx, "KILL", true)
}

// streaming is a program's output under way.
type streaming struct {
	sb             *Sandbox
	at             string // the id of the last event
	stdout, stderr io.Writer

	end    *api.ExecResponse
	failed error // final: another connection does not help
}

// read passes events on until the end of the program or of the connection, and says
// what ended that.
func (s *streaming) read(resp *http.Response) error {
	defer resp.Body.Close()
	err := scanEvents(resp.Body, func(e event) error {
		if e.ID != "" {
			s.at = e.ID
		}
		if s.failed = s.take(e); s.failed != nil || s.end != nil {
			return errStop
		}
		return nil
	})
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// take passes one event on.
func (s *streaming) take(e event) error {
	switch e.Name {
	case "stdout":
		return writeTo(s.stdout, e)
	case "stderr":
		return writeTo(s.stderr, e)
	case "exit":
		var end api.ExecResponse
		if err := json.Unmarshal(e.Data, &end); err != nil {
			return broken(context.Background(), err)
		}
		s.end = &end
	case "error":
		return wireError(e.Data, http.StatusInternalServerError)
	case "lost":
		return api.Errorf(api.CodeUnavailable, "cannot go on with the output: because some of it is no longer kept").
			WithFix("have the program write to a file")
	}
	return nil
}

// writeTo writes a piece of output. Beside text that is not all of it come its bytes.
func writeTo(w io.Writer, e event) error {
	if w == nil {
		return nil
	}
	b := e.Bytes
	if b == nil {
		b = []byte(e.Chunk)
	}
	_, err := w.Write(b)
	return err
}

// resume opens another connection behind the last event.
func (s *streaming) resume(ctx context.Context) (*http.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	give := time.AfterFunc(reconnectWithin, cancel)
	defer give.Stop()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		resp, err := s.sb.c.openEvents(ctx, http.MethodGet, s.sb.path("/exec/stream"), nil, nil, http.Header{"Last-Event-Id": {s.at}})
		if err == nil {
			resp.Body = &cancelBody{resp.Body, cancel}
			return resp, nil
		}
		if api.CodeOf(err) != api.CodeUnavailable {
			cancel()
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			cancel()
			return nil, err
		}
	}
}

// cancelBody ends a request's context with its reply.
type cancelBody struct {
	io.ReadCloser
	cancel func()
}

func (b *cancelBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
