package envd

import (
	"context"
	"math"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/host"
)

type processConfig struct {
	Cmd  string            `json:"cmd"`
	Args []string          `json:"args,omitempty"`
	Envs map[string]string `json:"envs,omitempty"`
	Cwd  string            `json:"cwd,omitempty"`
}

// selector names a process by one of two things.
type selector struct {
	PID int    `json:"pid,omitempty"`
	Tag string `json:"tag,omitempty"`
}

type terminal struct {
	Size struct {
		Cols uint32 `json:"cols"`
		Rows uint32 `json:"rows"`
	} `json:"size"`
}

// size checks a terminal's size; 0 means the usual one.
func (t terminal) size() (api.Terminal, error) {
	rows, cols := t.Size.Rows, t.Size.Cols
	if rows == 0 || cols == 0 {
		rows, cols = 24, 80
	}
	if rows > math.MaxUint16 || cols > math.MaxUint16 {
		return api.Terminal{}, &rpcError{codeInvalid, "cannot make the terminal: because it is larger than 65535 rows or columns"}
	}
	return api.Terminal{Rows: uint16(rows), Cols: uint16(cols)}, nil
}

type startRequest struct {
	Process processConfig `json:"process"`
	PTY     *terminal     `json:"pty"`
	Tag     string        `json:"tag"`
	Stdin   *bool         `json:"stdin"` // absent: open, as for clients before it was there
}

// startProcess starts a program and streams what it says. The program outlives the
// client's connection, and ends with everything it started at the call's deadline.
func startProcess(s *Server, c *call, req startRequest, out *frames) error {
	exec, err := s.execOf(c, req)
	if err != nil {
		return err
	}
	ctx, cancel, late := c.within()
	defer cancel()
	p, err := c.sb.LaunchProcess(ctx, exec, control.ProcessOptions{
		OpenStdin: req.PTY != nil || req.Stdin == nil || *req.Stdin, Hold: true,
	})
	if err != nil {
		return err
	}
	return c.attach(ctx, p, exec.Terminal != nil, late, out)
}

// execOf is the request in our words.
func (s *Server) execOf(c *call, req startRequest) (api.ExecRequest, error) {
	exec := api.ExecRequest{Tag: req.Tag, TimeoutSeconds: c.deadline().Seconds()}
	if req.Process.Cmd == "" {
		return exec, &rpcError{codeInvalid, "cannot start the process: because cmd is empty"}
	}
	if req.PTY != nil {
		size, err := req.PTY.size()
		if err != nil {
			return exec, err
		}
		exec.Terminal = &size
	}
	err := c.with(c.userOf(), func(box host.Session, as account) (err error) {
		exec.User, exec.Env = as.user, as.env(req.Process.Envs)
		if exec.Cwd, err = workDir(c.Context(), box, as, req.Process.Cwd); err != nil {
			return err
		}
		cmd, err := s.shellThere(c, box, req.Process.Cmd)
		exec.Argv = append([]string{cmd}, req.Process.Args...)
		return err
	})
	return exec, err
}

// env is what an account adds to a program's environment, below what the caller
// asked for. The template has set it up for the default one.
func (a account) env(asked map[string]string) map[string]string {
	env := map[string]string{"LOGNAME": a.name}
	if a.name != defaultUser {
		env["HOME"], env["USER"] = a.home, a.name
	}
	for k, v := range asked {
		env[k] = v
	}
	return env
}

// workDir is where a program starts: the home, or an existing directory.
func workDir(ctx context.Context, box host.Session, as account, asked string) (string, error) {
	if asked == "" {
		return as.home, nil
	}
	dir, err := as.abs(asked)
	if err != nil {
		return "", err
	}
	info, err := follow(ctx, box, dir)
	if api.CodeOf(err) == api.CodeNotFound && err != nil || err == nil && info.Kind != api.FileDir {
		return "", &rpcError{codeInvalid, "cannot start the process: because its cwd is no directory of the sandbox"}
	}
	return dir, err
}

// bash is the shell that clients hand their command lines to. A template without
// it has its sh run them.
const bash = "/bin/bash"

func (s *Server) shellThere(c *call, box host.Session, cmd string) (string, error) {
	if cmd != bash {
		return cmd, nil
	}
	_, err := box.Stat(c.Context(), bash)
	if err != nil && api.CodeOf(err) == api.CodeNotFound {
		s.log.Debug("the template has no bash: sh runs the command", "sandbox", c.sb.ID())
		return "/bin/sh", nil
	}
	return cmd, err
}

type selectRequest struct {
	Process selector `json:"process"`
}

// connectProcess streams what a process has printed, from the oldest that is kept,
// and what it prints.
func connectProcess(_ *Server, c *call, req selectRequest, out *frames) error {
	p, err := c.find(req.Process)
	if err != nil {
		return err
	}
	exec, err := c.sb.ProcessRequest(p.ID)
	if err != nil {
		return err
	}
	ctx, cancel, late := c.within()
	defer cancel()
	return c.attach(ctx, p, exec.Terminal != nil, late, out)
}

func (c *call) find(sel selector) (api.Process, error) {
	if sel.PID == 0 && sel.Tag == "" {
		return api.Process{}, &rpcError{codeInvalid, "cannot find the process: because neither pid nor tag is given"}
	}
	return c.sb.FindProcess(sel.PID, sel.Tag)
}
