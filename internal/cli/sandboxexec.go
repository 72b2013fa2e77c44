package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

type sandboxExecOptions struct {
	timeout     time.Duration
	cwd         string
	env         []string
	root        bool
	user        string
	terminal    bool
	interactive bool
	argv        []string
}

// AddFlags declares the flags of sandbox exec.
func (o *sandboxExecOptions) AddFlags(c *cobra.Command) {
	f := c.Flags()
	f.DurationVar(&o.timeout, "timeout", 0, "wall-clock `TIME` of the program (0 = as long as the sandbox lives)")
	f.StringVar(&o.cwd, "cwd", "", "working `DIRECTORY` inside (default /work)")
	f.StringArrayVar(&o.env, "env", nil, "variable `NAME=VALUE` for the program (repeatable)")
	f.BoolVar(&o.root, "root", false, "run as root inside; its boundary is the same")
	f.StringVar(&o.user, "user", "", "run as `USER` inside: a name or a uid, a group may follow (uid:gid)")
	f.BoolVarP(&o.terminal, "tty", "t", false, "give the program a terminal")
	f.BoolVarP(&o.interactive, "interactive", "i", true, "pass stdin on")
}

func newSandboxExecCommand(env *Env) *cobra.Command {
	var o sandboxExecOptions
	c := &cobra.Command{
		Use:   "exec [flags] ID -- CMD ARG...",
		Short: "Run a program in a sandbox",
		Long: `Run a program in a sandbox. Its stdin, stdout and stderr are the caller's, byte for
byte, and its exit code is the command's, as with 'brig run'. Ctrl-C ends it with
all that it started; the sandbox goes on.`,
		Example: `  brig sandbox exec ID -- python3 -c 'print(6 * 7)'
  tar c src | brig sandbox exec ID -- tar x -C /work
  brig sandbox exec -it ID -- python3`,
		ValidArgsFunction: completeSandboxes(env),
		Args: func(c *cobra.Command, got []string) error {
			if at := c.ArgsLenAtDash(); at > 1 || at == 0 || len(got) < 2 {
				return usageErrorf(c, "it is to be one sandbox, then -- and the program")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.argv = args[1:]
			return runSandboxExec(c.Context(), env, args[0], o)
		},
	}
	o.AddFlags(c)
	return c
}

func newSandboxShellCommand(env *Env) *cobra.Command {
	o := sandboxExecOptions{terminal: true, interactive: true}
	c := &cobra.Command{
		Use:   "shell ID",
		Short: "Open a shell in a sandbox",
		Long:  "Open bash, or sh where there is none, in a sandbox, on this terminal.",
		Example: `  brig sandbox shell ID
  brig sandbox shell --root ID`,
		Args: args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error {
			o.argv = []string{"sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"}
			return runSandboxExec(c.Context(), env, args[0], o)
		},
	}
	c.Flags().BoolVar(&o.root, "root", false, "as root inside; its boundary is the same")
	c.Flags().StringVar(&o.user, "user", "", "as `USER` inside: a name or a uid, a group may follow (uid:gid)")
	return c
}

func runSandboxExec(ctx context.Context, env *Env, id string, o sandboxExecOptions) error {
	vars, err := parseEnv(o.env)
	if err != nil {
		return err
	}
	if o.timeout < 0 {
		return api.Errorf(api.CodeInvalid, "cannot use --timeout %s: because it is negative", o.timeout).WithFix("use --timeout 60s")
	}
	req := api.ExecRequest{Argv: o.argv, Cwd: o.cwd, Env: vars, Root: o.root, User: o.user, TimeoutSeconds: o.timeout.Seconds()}
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	if o.terminal {
		return execTerminal(ctx, env, sb, req)
	}
	stdout, stderr := &liveStream{w: env.Stdout}, &liveStream{w: env.Stderr}
	var kept [2]bytes.Buffer
	if env.JSON {
		stdout.w, stderr.w = &kept[0], &kept[1]
		req.OutputBytes = 16 << 20
	}
	stdio := client.Stdio{Stdout: stdout, Stderr: stderr}
	if o.interactive {
		stdio.Stdin = env.Stdin
	}
	resp, err := sb.Run(ctx, req, stdio)
	switch broken := brokenPipe(stdout); {
	case broken != nil:
		return broken
	case ctx.Err() != nil: // Ctrl-C: the server kills the program
		resp, err = api.ExecResponse{Verdict: api.Cancelled, ExitCode: exitCancelled}, nil
	case err != nil:
		return err
	}
	if env.JSON {
		resp.Stdout, resp.StdoutBase64 = textOf(&kept[0])
		resp.Stderr, resp.StderrBase64 = textOf(&kept[1])
		if err := writeJSON(env.Stdout, resp); err != nil {
			return err
		}
		return exitWith(resp.ExitCode)
	}
	sayEnd(env, resp, stderr.midLine)
	return exitWith(resp.ExitCode)
}

// sayEnd says so on stderr when Brig ended the program.
func sayEnd(env *Env, resp api.ExecResponse, midLine bool) {
	switch resp.Verdict {
	case api.OK, api.Nonzero, api.Signal:
		return
	}
	if midLine {
		fmt.Fprintln(env.Stderr)
	}
	line := string(resp.Verdict)
	if resp.Evidence.Reason != "" {
		line += ": " + oneLine(resp.Evidence.Reason)
	}
	fmt.Fprintf(env.Stderr, "brig: %s\n", line)
}

// execTerminal runs a program on the caller's terminal: every key goes inside,
// Ctrl-C too, and the window's size with it.
func execTerminal(ctx context.Context, env *Env, sb *client.Sandbox, req api.ExecRequest) error {
	tty, ok := env.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return api.Errorf(api.CodeInvalid, "cannot give the program a terminal: because stdin is none").
			WithFix("leave --tty out, or run it from a terminal")
	}
	size := func() api.Terminal {
		cols, rows, err := term.GetSize(int(tty.Fd()))
		if err != nil || cols < 1 || rows < 1 {
			cols, rows = 80, 24
		}
		return api.Terminal{Rows: uint16(rows), Cols: uint16(cols)}
	}
	now := size()
	req.Terminal = &now
	if name := env.Getenv("TERM"); name != "" {
		if req.Env == nil {
			req.Env = map[string]string{}
		}
		if req.Env["TERM"] == "" {
			req.Env["TERM"] = name
		}
	}
	old, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return api.Errorf(api.CodeInternal, "cannot use the terminal: because %w", err)
	}
	resp, err := runOnTerminal(ctx, sb, req, tty, env.Stdout, size)
	if restored := term.Restore(int(tty.Fd()), old); err == nil && restored != nil {
		err = api.Errorf(api.CodeInternal, "cannot give the terminal back: because %w", restored)
	}
	if err != nil {
		return err
	}
	sayEnd(env, resp, false)
	return exitWith(resp.ExitCode)
}

func runOnTerminal(ctx context.Context, sb *client.Sandbox, req api.ExecRequest, tty *os.File, out io.Writer, size func() api.Terminal) (api.ExecResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	defer signal.Stop(changed)
	sizes := make(chan api.Terminal)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			select {
			case <-ctx.Done():
				return
			case sizes <- size():
			}
		}
	}()
	resp, err := sb.Run(ctx, req, client.Stdio{Stdin: tty, Stdout: out, Resize: sizes})
	cancel()
	<-done
	return resp, err
}
