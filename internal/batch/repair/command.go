package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
)

// Caps on what a command may take and say.
const (
	DefaultTimeout = 2 * time.Minute
	MaxCodeBytes   = 1 << 20
	maxStderrBytes = 4 << 10
)

// Command repairs with a program: it reads a Request as JSON on standard input
// and prints the new code, in a Markdown code block or plain.
type Command struct {
	Argv    []string
	Timeout time.Duration // of one call; 0 is DefaultTimeout
}

var _ Repairer = Command{}

// NewCommand reads a command line: see Split.
func NewCommand(line string) (Command, error) {
	argv, err := Split(line)
	if err != nil {
		return Command{}, err
	}
	if _, err := exec.LookPath(argv[0]); err != nil {
		return Command{}, api.Errorf(api.CodeInvalid, "cannot use the repair command: because %w", err).
			WithFix("give the path of a program that can be run")
	}
	return Command{Argv: argv}, nil
}

// Repair implements Repairer. The command runs in a process group of its own,
// which is killed as a whole when its time is over.
func (c Command) Repair(ctx context.Context, r Request) (string, error) {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if len(r.Input) == 0 {
		r.Input = json.RawMessage("null")
	}
	stdin, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second // somebody else may hold its pipes
	stdout, stderr := &capped{max: MaxCodeBytes, full: cancel}, &capped{max: maxStderrBytes}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), stdout, stderr
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	}
	switch {
	case stdout.cut:
		return "", fmt.Errorf("the repair command printed more than %s", api.FormatBytes(MaxCodeBytes))
	case ctx.Err() != nil:
		return "", fmt.Errorf("the repair command did not end within %s: %w", c.Timeout, ctx.Err())
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", fmt.Errorf("the repair command failed: %w: %s", err, strings.TrimSpace(stderr.kept.String()))
	}
	return codeOf(stdout.kept.String(), r.Language)
}

// codeOf takes the code out of what a generator printed: the one code block, or
// all of it when there is none.
func codeOf(answer, language string) (string, error) {
	if !utf8.ValidString(answer) {
		return "", errors.New("the repair command's answer is not UTF-8")
	}
	code, reason := input.CodeIn(answer, language)
	switch {
	case reason != "":
		return "", errors.New(reason)
	case strings.TrimSpace(code) == "":
		return "", errors.New("the repair command printed nothing")
	}
	return code, nil
}

// capped keeps the first max bytes, says so once when there are more, and lets the
// writer go on. The buffer is not embedded: its ReadFrom would go round the cap.
type capped struct {
	kept bytes.Buffer
	max  int
	cut  bool
	full func() // may be nil
}

func (c *capped) Write(b []byte) (int, error) {
	if room := c.max - c.kept.Len(); len(b) > room {
		if c.full != nil && !c.cut {
			c.full()
		}
		c.cut = true
		c.kept.Write(b[:room])
		return len(b), nil
	}
	return c.kept.Write(b)
}
