package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

func newCodeCommand(env *Env) *cobra.Command {
	c := newGroup(&cobra.Command{
		Use:   "code",
		Short: "Run code cells that share their state, as in a notebook",
		Long: `Run cells in interpreter sessions of a sandbox. Cells of one session share their
variables; each language has a default session, and more can be opened. Values are
shown as a notebook shows them: tables, figures, HTML.`,
		Example: `  brig code run ID -c 'x = 21'
  brig code run ID -c 'x * 2'
  brig code run ID plot.py --save figures`,
	})
	c.AddCommand(newCodeRunCommand(env), newCodeLsCommand(env), newCodeOpenCommand(env), newCodeCloseCommand(env), newCodeRestartCommand(env))
	return c
}

type codeRunOptions struct {
	code     string
	language string
	context  string
	timeout  time.Duration
	save     string
}

func newCodeRunCommand(env *Env) *cobra.Command {
	var o codeRunOptions
	c := &cobra.Command{
		Use:   "run ID [FILE]",
		Short: "Run one cell",
		Long: `Run one cell: FILE, - for stdin, or --code. What it prints comes as it is printed;
then the values that it showed, as text. Exit code 1 is an exception, 124 a timeout,
after which the session goes on.`,
		Example: `  brig code run ID --code 'import math; math.pi'
  echo '[1, 2].map(x => x * 2)' | brig code run ID - --language javascript
  brig code run ID plot.py --save figures --json`,
		Args: args(1, 2, "one sandbox (ID) and a FILE"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error {
			file := ""
			if len(args) > 1 {
				file = args[1]
			}
			return runCodeRun(c.Context(), env, args[0], file, o)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.code, "code", "c", "", "the cell itself, `TEXT`")
	f.StringVar(&o.language, "language", "", "`NAME`: python or javascript (default by the file's extension, else python)")
	f.StringVar(&o.context, "context", "", "`ID` of a session (default the language's own)")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "wall-clock `TIME` of the cell")
	f.StringVar(&o.save, "save", "", "write figures and other rich values into `DIR`")
	return c
}

func runCodeRun(ctx context.Context, env *Env, id, file string, o codeRunOptions) error {
	code, err := readCell(env, file, o.code)
	if err != nil {
		return err
	}
	if o.language == "" && (strings.HasSuffix(file, ".js") || strings.HasSuffix(file, ".mjs")) {
		o.language = "javascript"
	}
	req := api.CodeRequest{Code: code, Language: o.language, Context: o.context, TimeoutSeconds: o.timeout.Seconds()}
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	var live func(api.CodeEvent)
	if !env.JSON {
		live = func(e api.CodeEvent) {
			_, _ = io.WriteString(env.Stdout, e.Stdout) // a cell goes on without a reader
			_, _ = io.WriteString(env.Stderr, e.Stderr)
		}
	}
	res, err := sb.RunCode(ctx, req, live)
	if err != nil {
		return err
	}
	if o.save != "" {
		if err := saveResults(env, o.save, res.Results); err != nil {
			return err
		}
	}
	if env.JSON {
		err = writeJSON(env.Stdout, res)
	} else {
		err = printCell(env, res)
	}
	if err != nil {
		return err
	}
	return exitWith(cellExitCode(res))
}

func readCell(env *Env, file, code string) (string, error) {
	switch {
	case (file == "") == (code == ""):
		return "", api.Errorf(api.CodeInvalid, "cannot run a cell: because exactly one of FILE and --code is needed").
			WithFix("write it like 'brig code run ID --code 1+1'")
	case code != "":
		return code, nil
	}
	r := env.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", cannotRead("FILE", err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, 16<<20))
	if err != nil {
		return "", cannotRead("FILE", err)
	}
	return string(b), nil
}

func cellExitCode(res api.CodeExecution) int {
	switch {
	case res.TimedOut:
		return 124
	case res.Error != nil:
		return 1
	case res.Restarted:
		return exitBrig
	}
	return exitOK
}

// printCell shows the values as text, and what went wrong.
func printCell(env *Env, res api.CodeExecution) error {
	for _, r := range res.Results {
		text := r.Data["text/plain"]
		if text == "" {
			text = "(" + strings.Join(sortedKeys(r.Data), ", ") + ")"
		}
		if _, err := fmt.Fprintln(env.Stdout, strings.TrimSuffix(text, "\n")); err != nil {
			return err
		}
	}
	if res.Error != nil {
		fmt.Fprintln(env.Stderr, strings.TrimSuffix(res.Error.Traceback, "\n"))
	}
	switch {
	case res.TimedOut:
		fmt.Fprintln(env.Stderr, "brig: timeout: the cell was interrupted, and its session goes on")
	case res.Restarted:
		fmt.Fprintf(env.Stderr, "brig: the session was restarted: %s\n", oneLine(res.Reason))
	}
	if res.Truncated {
		fmt.Fprintln(env.Stderr, "brig: output was cut at its limit")
	}
	return nil
}

// saveResults writes each value's richest form into a file of dir, and says which.
func saveResults(env *Env, dir string, results []api.CodeResult) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return cannotWrite(dir, err)
	}
	for i, r := range results {
		for _, kind := range []struct{ mime, ext string }{
			{"image/png", "png"}, {"image/jpeg", "jpg"}, {"image/svg+xml", "svg"}, {"text/html", "html"},
			{"text/markdown", "md"}, {"application/json", "json"},
		} {
			data, ok := r.Data[kind.mime]
			if !ok {
				continue
			}
			b := []byte(data)
			if kind.ext == "png" || kind.ext == "jpg" {
				var err error
				if b, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(data, "\n", "")); err != nil {
					return api.Errorf(api.CodeInternal, "cannot save value %d: because it is not base64", i+1)
				}
			}
			name := filepath.Join(dir, fmt.Sprintf("result-%d.%s", i+1, kind.ext))
			if err := os.WriteFile(name, b, 0o644); err != nil {
				return cannotWrite(name, err)
			}
			fmt.Fprintf(env.Stderr, "brig: wrote %s\n", name)
		}
	}
	return nil
}

func newCodeLsCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "ls ID", Short: "List the interpreter sessions of a sandbox",
		Long:    "List the interpreter sessions of a sandbox.",
		Example: "  brig code ls ID",
		Args:    args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error { return runCodeLs(c.Context(), env, args[0]) },
	}
}

func runCodeLs(ctx context.Context, env *Env, id string) error {
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	list, err := sb.CodeContexts(ctx)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SESSION\tLANGUAGE\tCWD\tDEFAULT")
	for _, c := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%t\n", c.ID, c.Language, c.Cwd, c.Default)
	}
	return t.Flush()
}

func newCodeOpenCommand(env *Env) *cobra.Command {
	var language, cwd string
	c := &cobra.Command{
		Use: "open ID", Short: "Open another interpreter session and print its id",
		Long:    "Open an interpreter session beside the default ones, with a state of its own, and print its id.",
		Example: "  s=$(brig code open ID); brig code run ID --context $s --code 'x = 1'",
		Args:    args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error {
			return runCodeOpen(c.Context(), env, args[0], language, cwd)
		},
	}
	c.Flags().StringVar(&language, "language", "python", "`NAME`: python or javascript")
	c.Flags().StringVar(&cwd, "cwd", "", "working `DIRECTORY` inside (default /work)")
	return c
}

func runCodeOpen(ctx context.Context, env *Env, id, language, cwd string) error {
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	opened, err := sb.OpenCodeContext(ctx, language, cwd)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, opened)
	}
	_, err = fmt.Fprintln(env.Stdout, opened.ID)
	return err
}

func newCodeCloseCommand(env *Env) *cobra.Command {
	return onCodeSession(env, &cobra.Command{
		Use: "close ID SESSION", Short: "End an interpreter session",
		Long:    "End an interpreter session; its state is gone.",
		Example: "  brig code close ID SESSION",
	}, (*client.Sandbox).CloseCodeContext)
}

// onCodeSession completes a command that does one thing with one session.
func onCodeSession(env *Env, c *cobra.Command, do func(*client.Sandbox, context.Context, string) error) *cobra.Command {
	c.Args, c.ValidArgsFunction = args(2, 2, "one sandbox (ID) and one SESSION"), completeSandboxes(env)
	c.RunE = func(c *cobra.Command, args []string) error {
		sb, err := sandboxOf(c.Context(), env, args[0])
		if err != nil {
			return err
		}
		return do(sb, c.Context(), args[1])
	}
	return c
}

func newCodeRestartCommand(env *Env) *cobra.Command {
	return onCodeSession(env, &cobra.Command{
		Use: "restart ID SESSION", Short: "Give an interpreter session a new, empty kernel",
		Long:    "Give an interpreter session a new, empty kernel, whatever the old one does.",
		Example: "  brig code restart ID SESSION",
	}, (*client.Sandbox).RestartCodeContext)
}
