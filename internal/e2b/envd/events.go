package envd

import (
	"context"
	"fmt"
	"syscall"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// event is one message of a process's stream; exactly one field is set.
type event struct {
	Start     *startEvent `json:"start,omitempty"`
	Data      *dataEvent  `json:"data,omitempty"`
	End       *endEvent   `json:"end,omitempty"`
	Keepalive *empty      `json:"keepalive,omitempty"`
}

type startEvent struct {
	PID int `json:"pid"`
}

type dataEvent struct {
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	PTY    []byte `json:"pty,omitempty"`
}

type endEvent struct {
	ExitCode int    `json:"exitCode,omitempty"`
	Exited   bool   `json:"exited,omitempty"`
	Status   string `json:"status"`
	Error    string `json:"error,omitempty"`
}

type eventMessage struct {
	Event event `json:"event"`
}

// attach streams a process: its start, all output that is kept and what comes, and
// its end. The client's going away leaves it alone.
func (c *call) attach(ctx context.Context, p api.Process, pty bool, late func() bool, out *frames) error {
	if err := out.send(eventMessage{event{Start: &startEvent{p.PID}}}); err != nil {
		return err
	}
	stop := out.keepAlive(c, eventMessage{event{Keepalive: &empty{}}})
	defer stop()
	err := c.sb.AttachProcess(ctx, p.ID, func(chunk control.Chunk) error {
		return out.send(eventMessage{event{Data: dataOf(chunk, pty)}})
	})
	if late() {
		return errLate()
	}
	if err != nil {
		return err
	}
	if p, err = c.sb.Process(p.ID); err != nil {
		return err
	}
	end, err := endOf(p.Result)
	if err != nil {
		return err
	}
	return out.send(eventMessage{event{End: end}})
}

func dataOf(c control.Chunk, pty bool) *dataEvent {
	switch {
	case pty:
		return &dataEvent{PTY: c.Data}
	case c.Stream == "stderr":
		return &dataEvent{Stderr: c.Data}
	}
	return &dataEvent{Stdout: c.Data}
}

// endOf says how a process ended, in the words of Go's os/exec, which clients know.
func endOf(r *api.ExecResponse) (*endEvent, error) {
	switch {
	case r == nil, r.Verdict == api.Infra, r.Verdict == api.Cancelled, r.Evidence.LimitName == "ttl":
		return nil, &rpcError{codeUnavailable, "the process ended with its sandbox"}
	case r.Verdict == api.Timeout:
		return nil, errLate()
	case r.Signal == "" && !endsProgram(r.Verdict):
		e := &endEvent{ExitCode: r.ExitCode, Exited: true, Status: fmt.Sprintf("exit status %d", r.ExitCode)}
		if r.ExitCode != 0 {
			e.Error = e.withReason(r)
		}
		return e, nil
	}
	signal := syscall.SIGKILL // what ends a program at a limit
	if n := api.SignalNumber(r.Signal); n > 0 {
		signal = syscall.Signal(n)
	}
	e := &endEvent{ExitCode: -1, Status: "signal: " + signal.String()}
	e.Error = e.withReason(r)
	return e, nil
}

// endsProgram tells whether a limit ends what reaches it, rather than to refuse it
// more.
func endsProgram(v api.Verdict) bool {
	return v == api.OOM || v == api.CPUTime || v == api.OutputLimit
}

// withReason is the status, and what Brig knows besides.
func (e *endEvent) withReason(r *api.ExecResponse) string {
	if r.Evidence.Reason == "" || r.Verdict == api.Nonzero || r.Verdict == api.Signal {
		return e.Status
	}
	return fmt.Sprintf("%s (%s: %s)", e.Status, r.Verdict, r.Evidence.Reason)
}
