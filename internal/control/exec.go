package control

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/host"
)

// Defaults of what a program may take when its request does not say.
const (
	defaultExecTime = 5 * time.Minute
	maxExecTime     = 24 * time.Hour
	maxExecOutput   = 16 << 20 // of a call that holds the output until the end
	noOutputLimit   = 1 << 60
)

// Exec runs one program to its end and gives its output. When ctx ends, it is
// killed. That the program failed, or hit a limit, is no error.
func (sb *Sandbox) Exec(ctx context.Context, req api.ExecRequest) (api.ExecResponse, error) {
	if req.OutputBytes < 0 || req.OutputBytes > maxExecOutput {
		return api.ExecResponse{}, api.Errorf(api.CodeInvalid, "cannot keep %d bytes of output: because the most is %d", req.OutputBytes, maxExecOutput).
			WithFix("stream the output, or have the program write a file")
	}
	if req.OutputBytes == 0 {
		req.OutputBytes = maxExecOutput
	}
	if req.TimeoutSeconds == 0 {
		req.TimeoutSeconds = defaultExecTime.Seconds()
	}
	stdin, err := stdinOf(req)
	if err != nil {
		return api.ExecResponse{}, err
	}
	var stdout, stderr bytes.Buffer
	run, err := sb.Start(ctx, req, host.Stdio{Stdin: stdin, Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		return api.ExecResponse{}, err
	}
	resp, err := run.Wait()
	if err != nil {
		return api.ExecResponse{}, err
	}
	resp.Stdout, resp.StdoutBase64 = textOf(stdout.Bytes())
	resp.Stderr, resp.StderrBase64 = textOf(stderr.Bytes())
	return resp, nil
}

// Running is a program that Start started. Wait must be called, once.
type Running struct {
	sb   *Sandbox
	proc host.Process
	req  api.ExecRequest
	done func()
	box  host.Session    // that it runs in
	gone <-chan struct{} // closed when the box is no more
	note *audit.Note
}

// Start starts a program with streams of the caller's, which belongs to ctx.
func (sb *Sandbox) Start(ctx context.Context, req api.ExecRequest, stdio host.Stdio) (*Running, error) {
	spec, err := specOf(req)
	if err != nil {
		return nil, err
	}
	box, done, err := sb.use(ctx)
	if err != nil {
		return nil, err
	}
	if err := sb.runAs(ctx, box, &spec, req.User); err != nil {
		done()
		return nil, sb.explain(box, err)
	}
	note := audit.From(ctx)
	note.Program(sb.owner, sb.id, spec.Argv)
	proc, err := box.Start(ctx, spec, sb.logged(req, stdio))
	if err != nil {
		done()
		return nil, sb.explain(box, err)
	}
	return &Running{sb: sb, proc: proc, req: req, done: done, box: box, gone: box.Done(), note: note}, nil
}

// logged has the sandbox's log hear what a program prints; a terminal's bytes are no
// log.
func (sb *Sandbox) logged(req api.ExecRequest, stdio host.Stdio) host.Stdio {
	if req.Terminal == nil {
		stdio.Stdout = tee(stdio.Stdout, sb.log.writer("stdout"))
		stdio.Stderr = tee(stdio.Stderr, sb.log.writer("stderr"))
	}
	return stdio
}

// PID is the program's number inside.
func (r *Running) PID() int { return r.proc.PID() }

// Signal sends a signal to the program's process group, or with tree to all that
// it started.
func (r *Running) Signal(ctx context.Context, sig syscall.Signal, tree bool) error {
	return r.proc.Signal(ctx, sig, tree)
}

// Resize changes its terminal.
func (r *Running) Resize(ctx context.Context, t api.Terminal) error { return r.proc.Resize(ctx, t) }

// Wait gives the program's end, without output.
func (r *Running) Wait() (api.ExecResponse, error) {
	defer r.done()
	res, err := r.proc.Wait()
	if err != nil {
		err = r.sb.explain(r.box, err)
		r.sb.event("exec", "command", commandOf(r.req), "error", err.Error())
		return api.ExecResponse{}, err
	}
	resp := responseOf(res)
	if resp.Verdict == api.Cancelled && r.sb.leftBehind(r.box) {
		resp.Evidence.Reason = "its sandbox was hibernated"
	}
	r.note.Outcome(string(res.Verdict))
	r.sb.event("exec", "command", commandOf(r.req), "verdict", string(res.Verdict))
	return resp, nil
}

// explain turns the host's word for a box that is gone into ours, which says why.
func (sb *Sandbox) explain(box host.Session, err error) error {
	if api.CodeOf(err) != api.CodeConflict {
		return err
	}
	if sb.leftBehind(box) {
		return api.Errorf(api.CodeConflict, "cannot go on in sandbox %s: because it was hibernated meanwhile", sb.id).
			WithFix("ask again, which wakes it; background processes and interpreter sessions sleep with it")
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if !sb.rec.living() || sb.leaving {
		return sb.errEnded()
	}
	return err
}

// leftBehind tells that the sandbox has gone to sleep since it had box.
func (sb *Sandbox) leftBehind(box host.Session) bool {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.rec.living() && !sb.leaving && sb.rec.Box != box.Info().ID
}

func responseOf(r api.ExecResult) api.ExecResponse {
	return api.ExecResponse{
		ExitCode: r.ShellCode(), Signal: r.Signal, Verdict: r.Verdict, TimedOut: r.Verdict == api.Timeout,
		Truncated: r.Truncated, DurationMS: r.Usage.WallMS, Usage: r.Usage, Evidence: r.Evidence,
	}
}

// specOf checks a request. Its defaults are those of a stream.
func specOf(req api.ExecRequest) (api.ExecSpec, error) {
	argv := req.Argv
	switch {
	case (req.Cmd == "") == (len(req.Argv) == 0):
		return api.ExecSpec{}, api.Errorf(api.CodeInvalid, "cannot run: because exactly one of cmd and argv is needed").
			WithFix(`send {"cmd": "echo hello"} or {"argv": ["echo", "hello"]}`)
	case req.Cmd != "":
		argv = []string{"sh", "-c", req.Cmd}
	}
	timeout := maxExecTime
	if req.TimeoutSeconds != 0 {
		if timeout = seconds(req.TimeoutSeconds); req.TimeoutSeconds < 0.001 || timeout > maxExecTime {
			return api.ExecSpec{}, api.Errorf(api.CodeInvalid, "cannot use a timeout of %g seconds: because the range is 0.001 to %g", req.TimeoutSeconds, maxExecTime.Seconds()).
				WithFix("use 60")
		}
	}
	if req.Root && req.User != "" && req.User != "root" {
		return api.ExecSpec{}, api.Errorf(api.CodeInvalid, "cannot run as root and as %.80q: because it is one or the other", req.User).WithFix("leave root out")
	}
	if req.OnTimeout != "" && req.OnTimeout != "result" {
		return api.ExecSpec{}, api.Errorf(api.CodeInvalid, "cannot do %.40q at a timeout: because there is no such thing to do", req.OnTimeout).
			WithFix(`leave on_timeout out, or use "result"`)
	}
	output := req.OutputBytes
	if output == 0 {
		output = noOutputLimit
	}
	return api.ExecSpec{
		Argv: argv, Env: req.Env, Cwd: req.Cwd, Timeout: timeout, OutputBytes: output, Root: req.Root || req.User == "root", Terminal: req.Terminal,
	}, nil
}

func stdinOf(req api.ExecRequest) (io.Reader, error) {
	if req.StdinBase64 == "" {
		return strings.NewReader(req.Stdin), nil
	}
	if req.Stdin != "" {
		return nil, api.Errorf(api.CodeInvalid, "cannot run: because there are two stdins").WithFix("send stdin or stdin_base64")
	}
	b, err := base64.StdEncoding.DecodeString(req.StdinBase64)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "cannot read stdin_base64: because it is not base64").WithFix("encode it with padding, or send stdin")
	}
	return bytes.NewReader(b), nil
}

// commandOf is how a request is named in events.
func commandOf(req api.ExecRequest) string {
	if req.Cmd != "" {
		return clip(req.Cmd, 200)
	}
	return clip(strings.Join(req.Argv, " "), 200)
}

// textOf gives bytes as a JSON string, and in base64 beside it when the string is
// not all of them.
func textOf(b []byte) (text, b64 string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return strings.ToValidUTF8(string(b), "\uFFFD"), base64.StdEncoding.EncodeToString(b)
}

// tee writes to the log and then to w, which may be nil.
func tee(w io.Writer, log io.Writer) io.Writer {
	if w == nil {
		return log
	}
	return io.MultiWriter(log, w)
}

// With lends the running box to do, for files.
func (sb *Sandbox) With(ctx context.Context, do func(host.Session) error) error {
	box, done, err := sb.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	return sb.explain(box, do(box))
}
