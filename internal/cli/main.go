// Package cli is the command line: one file per command, over internal/app.
// Results go to stdout; progress, logs and errors go to stderr. With --json
// both are JSON. Exit codes are in exit.go and docs/verdicts.md.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/brigdev/brig/internal/app"
)

// Stdio is the process's streams.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs one command line (without the program's name) and returns the
// process's exit code.
func Main(args []string, stdio Stdio) int {
	return runMain(args, &Env{
		Stdin: stdio.In, Stdout: stdio.Out, Stderr: stdio.Err,
		Open: app.Open, Drivers: app.NewDrivers, Getenv: os.Getenv,
	})
}

// runMain is Execute with signals: the first SIGINT, SIGTERM or SIGHUP cancels
// the command, which cleans up; the second one kills the process.
func runMain(args []string, env *Env) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	// A closed pipe must be a write error, so that sandboxes are destroyed. The
	// channel is never read: asking for the signal is what counts. Ignoring it
	// instead would be inherited by every child.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	return Execute(ctx, args, env)
}

// Execute runs one command line in env and returns its exit code.
func Execute(ctx context.Context, args []string, env *Env) int {
	root := newRootCommand(env)
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	printError(env.Stderr, err, env.JSON || asksForJSON(args))
	return exitCode(err)
}

// asksForJSON finds --json when the flags could not be parsed.
func asksForJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json")
}
