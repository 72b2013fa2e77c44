package interpreter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// local is a session whose programs are processes of this machine.
type local struct {
	host.Session // what kernels do not use
	dir          string
	python       string
	gone         chan struct{}
}

func (l *local) Info() api.SandboxInfo          { return api.SandboxInfo{} }
func (l *local) Done() <-chan struct{}          { return l.gone }
func (l *local) Ended() (reason, detail string) { return "died", "" }

func (l *local) Start(ctx context.Context, spec api.ExecSpec, std host.Stdio) (host.Process, error) {
	argv := []string{}
	for _, a := range spec.Argv {
		argv = append(argv, strings.Replace(a, kernel.Dir, l.dir, 1))
	}
	if argv[0] == "python3" {
		argv[0] = l.python
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	for k, v := range spec.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = std.Stdout, std.Stderr
	// A kernel's children may outlive it with its output open.
	cmd.WaitDelay = time.Millisecond
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// As in a sandbox, a reader of requests ends when the session closes them, and
	// not before the program's end is known.
	go func() {
		_, _ = io.Copy(stdin, std.Stdin) // the program may be gone
		stdin.Close()
	}()
	return &localProcess{cmd}, nil
}

type localProcess struct{ cmd *exec.Cmd }

func (p *localProcess) PID() int                                   { return p.cmd.Process.Pid }
func (p *localProcess) Resize(context.Context, api.Terminal) error { return nil }

func (p *localProcess) Signal(_ context.Context, sig syscall.Signal, _ bool) error {
	return syscall.Kill(-p.cmd.Process.Pid, sig)
}

func (p *localProcess) Wait() (api.ExecResult, error) {
	err := p.cmd.Wait()
	state := p.cmd.ProcessState
	if state == nil {
		return api.ExecResult{}, err
	}
	ws := state.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return api.ExecResult{Verdict: api.Signal, Signal: fmt.Sprintf("SIG%d", ws.Signal())}, nil
	}
	code := ws.ExitStatus()
	return api.ExecResult{Verdict: api.Nonzero, ExitCode: &code}, nil
}

// skip is for a machine without the interpreters: e2e runs the same kernels in the
// sandboxes of a template that has them, and is what must not be skipped.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Skipf(format, args...)
}

// newLocal is a session with this machine's interpreters and the kernels' files.
func newLocal(t *testing.T, language string) *local {
	t.Helper()
	l := &local{dir: t.TempDir(), gone: make(chan struct{})}
	for path, data := range kernel.Sources() {
		if err := os.WriteFile(filepath.Join(l.dir, filepath.Base(path)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	switch language {
	case kernel.Python:
		l.python = findPython()
		if l.python == "" {
			skip(t, "there is no python3 here")
		}
	case kernel.JavaScript:
		if _, err := exec.LookPath("node"); err != nil {
			skip(t, "there is no node here: %v", err)
		}
	}
	return l
}

// findPython prefers the distribution's, which has its packages.
func findPython() string {
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// hasModules skips a test that needs Python packages which are not here.
func (l *local) hasModules(t *testing.T, names ...string) {
	t.Helper()
	if out, err := exec.Command(l.python, "-c", "import "+strings.Join(names, ",")).CombinedOutput(); err != nil {
		skip(t, "Python here has not all of %v: %s", names, out)
	}
}

func open(t *testing.T, language string, o Options) *Kernel {
	t.Helper()
	return openIn(t, newLocal(t, language), language, o)
}

// run runs a cell that the platform must not fail on.
func run(t *testing.T, k *Kernel, code string, o RunOptions) api.CodeExecution {
	t.Helper()
	x, err := k.Run(t.Context(), code, o)
	if err != nil {
		t.Fatalf("%.80s: %v", code, err)
	}
	return x
}

// mainText is the text of the last expression's value.
func mainText(x api.CodeExecution) string {
	for _, r := range x.Results {
		if r.Main {
			return r.Data["text/plain"]
		}
	}
	return ""
}

func codeOf(err error) api.Code {
	var e *api.Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Code
}

func openIn(t *testing.T, l *local, language string, o Options) *Kernel {
	t.Helper()
	k, err := Open(t.Context(), l, language, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return k
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Error(err)
	}
}
