package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/brigdev/brig/api"
)

// Process is a background program of a sandbox.
type Process struct {
	ID string
	// Info is what the server said of it when this value was made.
	Info api.Process
	sb   *Sandbox
}

// Start starts a program that runs on after the call; the newest MiB of its output
// is kept. With openStdin its stdin is what Write brings.
func (sb *Sandbox) Start(ctx context.Context, req api.ExecRequest, openStdin bool) (*Process, error) {
	var info api.Process
	body := struct {
		api.ExecRequest
		OpenStdin bool `json:"open_stdin"`
	}{req, openStdin}
	if err := sb.post(ctx, "/processes", body, &info); err != nil {
		return nil, err
	}
	return &Process{ID: info.ID, Info: info, sb: sb}, nil
}

// Processes lists the background programs, ended ones too.
func (sb *Sandbox) Processes(ctx context.Context) ([]api.Process, error) {
	var list []api.Process
	err := sb.c.call(ctx, http.MethodGet, sb.path("/processes"), nil, nil, &list)
	return list, err
}

// Process is one that was started before.
func (sb *Sandbox) Process(id string) *Process { return &Process{ID: id, sb: sb} }

func (p *Process) path(rest string) string {
	return p.sb.path("/processes/" + url.PathEscape(p.ID) + rest)
}

// Get describes it as it is now.
func (p *Process) Get(ctx context.Context) (api.Process, error) {
	var info api.Process
	err := p.sb.c.call(ctx, http.MethodGet, p.path(""), nil, nil, &info)
	return info, err
}

// Wait waits for its end.
func (p *Process) Wait(ctx context.Context) (api.ExecResponse, error) {
	var info api.Process
	if err := p.sb.c.call(ctx, http.MethodGet, p.path(""), url.Values{"wait": {"1"}}, nil, &info); err != nil {
		return api.ExecResponse{}, err
	}
	if info.Result == nil {
		return api.ExecResponse{}, api.Errorf(api.CodeInternal, "cannot wait for process %s: because the server did not", p.ID)
	}
	return *info.Result, nil
}

// Follow writes its output from offset on until its end, and gives the offset to
// go on from: after an error, too. lost is how many bytes were no longer kept.
func (p *Process) Follow(ctx context.Context, offset int64, stdout, stderr io.Writer) (next, lost int64, err error) {
	next = offset
	ended := false
	err = p.sb.c.events(ctx, http.MethodGet, p.path("/output"), url.Values{"offset": {strconv.FormatInt(offset, 10)}}, nil, func(e event) error {
		w := stdout
		switch e.Name {
		case "stderr":
			w = stderr
		case "exit":
			ended = true
			return errStop
		}
		lost += max(0, e.Offset-next)
		next = e.Offset + int64(len(e.Bytes))
		if w == nil {
			return nil
		}
		_, err := w.Write(e.Bytes)
		return err
	})
	if err == nil && !ended {
		err = broken(ctx, io.ErrUnexpectedEOF)
	}
	return next, lost, err
}

// Signal sends a signal to its process group, or with tree to all that it started.
func (p *Process) Signal(ctx context.Context, signal string, tree bool) error {
	return p.sb.c.call(ctx, http.MethodPost, p.path("/signal"), nil, map[string]any{"signal": signal, "tree": tree}, nil)
}

// Write passes r on to its stdin; eof closes that afterwards.
func (p *Process) Write(ctx context.Context, r io.Reader, eof bool) error {
	q := url.Values{}
	if eof {
		q.Set("eof", "1")
	}
	resp, err := p.sb.c.send(ctx, http.MethodPost, p.path("/stdin"), q, io.NopCloser(r), nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// RunCode runs one cell; on, which may be nil, is told what it says while it runs.
// An exception, or the cell's timeout, is no error.
func (sb *Sandbox) RunCode(ctx context.Context, req api.CodeRequest, on func(api.CodeEvent)) (api.CodeExecution, error) {
	var res api.CodeExecution
	if on == nil {
		err := sb.post(ctx, "/code", req, &res)
		return res, err
	}
	ended := false
	err := sb.c.events(ctx, http.MethodPost, sb.path("/code"), nil, req, func(e event) error {
		if e.Name == "end" {
			ended = true
			return json.Unmarshal(e.Data, &res)
		}
		var said api.CodeEvent
		if err := json.Unmarshal(e.Data, &said); err != nil {
			return broken(ctx, err)
		}
		on(said)
		return nil
	})
	if err == nil && !ended {
		err = broken(ctx, io.ErrUnexpectedEOF)
	}
	return res, err
}

// CodeContexts lists the interpreter sessions.
func (sb *Sandbox) CodeContexts(ctx context.Context) ([]api.CodeContext, error) {
	var list []api.CodeContext
	err := sb.c.call(ctx, http.MethodGet, sb.path("/code/contexts"), nil, nil, &list)
	return list, err
}

// OpenCodeContext makes one beside the languages' default ones.
func (sb *Sandbox) OpenCodeContext(ctx context.Context, language, cwd string) (api.CodeContext, error) {
	var c api.CodeContext
	err := sb.post(ctx, "/code/contexts", map[string]string{"language": language, "cwd": cwd}, &c)
	return c, err
}

// CloseCodeContext ends one.
func (sb *Sandbox) CloseCodeContext(ctx context.Context, id string) error {
	return sb.c.call(ctx, http.MethodDelete, sb.path("/code/contexts/"+url.PathEscape(id)), nil, nil, nil)
}

// RestartCodeContext gives one a new, empty kernel.
func (sb *Sandbox) RestartCodeContext(ctx context.Context, id string) error {
	return sb.post(ctx, "/code/contexts/"+url.PathEscape(id)+"/restart", nil, nil)
}
