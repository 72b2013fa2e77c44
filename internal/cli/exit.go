package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/brigdev/brig/api"
)

// Exit codes of Brig itself. They are API: docs/verdicts.md lists them.
const (
	exitOK         = 0
	exitUsage      = 2   // the request makes no sense, or names what does not exist
	exitFailed     = 3   // a batch finished, with items that failed
	exitStopped    = 4   // a batch stopped early and can be resumed
	exitBrig       = 125 // Brig or this host failed
	exitCancelled  = 130 // Ctrl-C
	exitBrokenPipe = 141 // nobody reads stdout any more
)

// ExitError ends the process with a code and prints nothing: the command has
// said all there is to say.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// exitWith is nil for 0, else an ExitError.
func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return &ExitError{Code: code}
}

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, syscall.EPIPE):
		return exitBrokenPipe
	}
	switch api.CodeOf(err) {
	case api.CodeInvalid, api.CodeNotFound:
		return exitUsage
	case api.CodeCancelled:
		return exitCancelled
	default:
		return exitBrig
	}
}

// verdictExitCode is the exit code of `brig run` for a program's end.
func verdictExitCode(r api.ExecResult) int { return r.ShellCode() }

// printError writes err on stderr: one line that says what cannot be done and
// one that says what mends it, or one JSON object.
func printError(w io.Writer, err error, asJSON bool) {
	var exit *ExitError
	if err == nil || errors.As(err, &exit) || errors.Is(err, syscall.EPIPE) {
		return
	}
	e := api.Error{Code: api.CodeOf(err), Message: oneLine(err.Error()), Fix: oneLine(api.FixOf(err))}
	if asJSON {
		_ = json.NewEncoder(w).Encode(&e) // nowhere left to report to
		return
	}
	fmt.Fprintf(w, "brig: %s\n", e.Message)
	if e.Fix != "" {
		fmt.Fprintf(w, "fix: %s\n", e.Fix)
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
