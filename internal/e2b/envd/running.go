package envd

import (
	"bytes"
	"context"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
)

// killWithin is how long a kill waits to see the process gone.
const killWithin = 2 * time.Second

// findRunning is for what can only be done to a process that has not ended.
func (c *call) findRunning(sel selector) (api.Process, error) {
	p, err := c.find(sel)
	if err == nil && !p.Running {
		err = &rpcError{codeNotFound, "cannot find the process: because it has ended"}
	}
	return p, err
}

type empty struct{}

type listedProcess struct {
	Config processConfig `json:"config"`
	PID    int           `json:"pid"`
	Tag    string        `json:"tag,omitempty"`
}

type processList struct {
	Processes []listedProcess `json:"processes"`
}

// listProcesses lists what runs, also what was started by other means.
func listProcesses(_ *Server, c *call, _ empty) (processList, error) {
	list := processList{Processes: []listedProcess{}}
	for _, p := range c.sb.Processes() {
		if !p.Running || len(p.Argv) == 0 {
			continue
		}
		exec, err := c.sb.ProcessRequest(p.ID)
		if err != nil {
			continue // it has just been forgotten
		}
		list.Processes = append(list.Processes, listedProcess{
			Config: processConfig{Cmd: p.Argv[0], Args: p.Argv[1:], Envs: exec.Env, Cwd: p.Cwd}, PID: p.PID, Tag: p.Tag,
		})
	}
	return list, nil
}

type signalRequest struct {
	Process selector `json:"process"`
	Signal  string   `json:"signal"`
}

// sendSignal ends everything that the process started with SIGKILL, and returns
// when that is so; SIGTERM is for its process group.
func sendSignal(_ *Server, c *call, req signalRequest) (empty, error) {
	p, err := c.findRunning(req.Process)
	if err != nil {
		return empty{}, err
	}
	switch req.Signal {
	case "SIGNAL_SIGTERM":
		return empty{}, gone(c.sb.SignalProcess(c.Context(), p.ID, syscall.SIGTERM, false))
	case "SIGNAL_SIGKILL":
		if err := c.sb.SignalProcess(c.Context(), p.ID, syscall.SIGKILL, true); err != nil {
			return empty{}, gone(err)
		}
		ctx, cancel := context.WithTimeout(c.Context(), killWithin)
		defer cancel()
		_, _ = c.sb.WaitProcess(ctx, p.ID) // one whose output nobody takes ends later
		return empty{}, nil
	}
	return empty{}, &rpcError{codeInvalid, "cannot send the signal: because it is neither SIGNAL_SIGTERM nor SIGNAL_SIGKILL"}
}

// gone is for a process that has ended since it was looked for.
func gone(err error) error {
	if err != nil && api.CodeOf(err) == api.CodeConflict {
		return &rpcError{codeNotFound, "cannot find the process: because it has ended"}
	}
	return err
}

type inputRequest struct {
	Process selector `json:"process"`
	Input   struct {
		Stdin []byte `json:"stdin"`
		PTY   []byte `json:"pty"`
	} `json:"input"`
}

// sendInput waits while the program does not read.
func sendInput(_ *Server, c *call, req inputRequest) (empty, error) {
	p, err := c.findRunning(req.Process)
	if err != nil {
		return empty{}, err
	}
	input := append(req.Input.Stdin, req.Input.PTY...)
	return empty{}, c.sb.WriteProcess(c.Context(), p.ID, bytes.NewReader(input), false)
}

func closeStdin(_ *Server, c *call, req selectRequest) (empty, error) {
	p, err := c.findRunning(req.Process)
	if err != nil {
		return empty{}, err
	}
	if exec, err := c.sb.ProcessRequest(p.ID); err == nil && exec.Terminal != nil {
		return empty{}, &rpcError{codePrecondition, "cannot close the stdin: because the process has a terminal (send it ^D)"}
	}
	return empty{}, c.sb.WriteProcess(c.Context(), p.ID, bytes.NewReader(nil), true)
}

type updateRequest struct {
	Process selector  `json:"process"`
	PTY     *terminal `json:"pty"`
}

// updateProcess resizes a terminal.
func updateProcess(_ *Server, c *call, req updateRequest) (empty, error) {
	p, err := c.findRunning(req.Process)
	if err != nil || req.PTY == nil {
		return empty{}, err
	}
	size, err := req.PTY.size()
	if err != nil {
		return empty{}, err
	}
	return empty{}, c.sb.ResizeProcess(c.Context(), p.ID, size)
}

// streamInput is not served: no published client sends it.
func streamInput(*Server, *call) error {
	return &rpcError{codeUnimplemented, "cannot stream input: because this server does not (use SendInput)"}
}
