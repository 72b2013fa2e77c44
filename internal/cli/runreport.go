package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// runReport is what --json prints: the program's end and what it ran in.
type runReport struct {
	Verdict      api.Verdict  `json:"verdict"`
	ExitCode     *int         `json:"exit_code"`
	Signal       *string      `json:"signal"`
	Stdout       string       `json:"stdout"`
	Stderr       string       `json:"stderr"`
	StdoutBase64 string       `json:"stdout_base64,omitempty"`
	StderrBase64 string       `json:"stderr_base64,omitempty"`
	Truncated    bool         `json:"truncated"`
	Usage        api.Usage    `json:"usage"`
	Evidence     api.Evidence `json:"evidence"`
	Sandbox      string       `json:"sandbox"`
	Isolation    api.Rung     `json:"isolation"`
	Template     string       `json:"template"`
}

// stdio connects the program's streams: live, or kept for the report. What is
// kept is bounded by the output limit, which the host enforces.
func (j *runJob) stdio(env *Env) (stdio host.Stdio, stdout, stderr io.Writer) {
	stdout, stderr = &liveStream{w: env.Stdout}, &liveStream{w: env.Stderr}
	if env.JSON {
		stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	}
	return host.Stdio{Stdin: j.stdin, Stdout: stdout, Stderr: stderr}, stdout, stderr
}

// report says how the program ended and gives the process's exit code.
func (j *runJob) report(env *Env, end runEnd) error {
	code := verdictExitCode(end.result)
	if env.JSON {
		if err := writeJSON(env.Stdout, newRunReport(end)); err != nil {
			return err
		}
		return exitWith(code)
	}
	if err := brokenPipe(end.stdout); err != nil {
		return err
	}
	if line := verdictLine(end.result, j.spec.Limits); line != "" {
		if s, ok := end.stderr.(*liveStream); ok && s.midLine {
			fmt.Fprintln(env.Stderr)
		}
		fmt.Fprintf(env.Stderr, "brig: %s\n", line)
	}
	return exitWith(code)
}

func newRunReport(end runEnd) runReport {
	r := runReport{
		Verdict: end.result.Verdict, ExitCode: end.result.ExitCode,
		Truncated: end.result.Truncated, Usage: end.result.Usage, Evidence: end.result.Evidence,
		Sandbox: end.info.ID, Isolation: end.info.Isolation, Template: end.info.Template,
	}
	if end.result.Signal != "" {
		r.Signal = &end.result.Signal
	}
	r.Stdout, r.StdoutBase64 = textOf(end.stdout)
	r.Stderr, r.StderrBase64 = textOf(end.stderr)
	return r
}

// textOf gives a buffer's bytes as a JSON string, and in base64 beside it when
// they are not UTF-8 and the string therefore is not all of them.
func textOf(w io.Writer) (text, b64 string) {
	b, ok := w.(*bytes.Buffer)
	if !ok {
		return "", ""
	}
	if utf8.Valid(b.Bytes()) {
		return b.String(), ""
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD"), base64.StdEncoding.EncodeToString(b.Bytes())
}

// verdictLine is the last line on stderr when Brig ended the program, and empty
// when the program ended by itself.
func verdictLine(r api.ExecResult, l api.Limits) string {
	switch r.Verdict {
	case api.OK, api.Nonzero, api.Signal:
		return ""
	case api.Timeout:
		return fmt.Sprintf("timeout after %s (limit --timeout)", l.Timeout)
	case api.CPUTime:
		return fmt.Sprintf("cpu_time after %s of processor time (limit --cpu-time)", time.Duration(r.Usage.CPUMS)*time.Millisecond)
	case api.OOM:
		return fmt.Sprintf("oom at %s (limit --memory)", api.FormatBytes(l.MemoryBytes))
	case api.PIDs:
		return fmt.Sprintf("pids at %d processes and threads (limit --pids)", l.PIDs)
	case api.DiskFull:
		return fmt.Sprintf("disk_full at %s (limit --disk)", api.FormatBytes(l.DiskBytes))
	case api.OutputLimit:
		return fmt.Sprintf("output_limit after %s (limit --output-limit)", api.FormatBytes(l.OutputBytes))
	}
	if r.Evidence.Reason == "" {
		return string(r.Verdict)
	}
	return string(r.Verdict) + ": " + oneLine(r.Evidence.Reason)
}

// liveStream passes a program's bytes on. It remembers whether the last one
// ended a line, so that ours starts on a new one, and what went wrong.
type liveStream struct {
	w       io.Writer
	midLine bool
	err     error
}

func (s *liveStream) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if n > 0 {
		s.midLine = p[n-1] != '\n'
	}
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// brokenPipe is the error of a stream whose reader went away. The program was
// ended for it, and nobody wants to hear of that.
func brokenPipe(w io.Writer) error {
	if s, ok := w.(*liveStream); ok && errors.Is(s.err, syscall.EPIPE) {
		return s.err
	}
	return nil
}

// writeJSON prints v on one line.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
