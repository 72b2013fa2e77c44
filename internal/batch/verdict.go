package batch

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
)

const resultFix = "let the program write its result as JSON to /work/result.json, or run with --result optional"

// outcome is one attempt's end, as far as the platform saw it.
type outcome struct {
	info    api.SandboxInfo
	exec    api.ExecResult
	stdout  []byte
	stderr  []byte
	result  json.RawMessage // nil unless the verdict is ok and there is one
	err     *api.Error      // why the result is bad, or Brig failed
	files   []api.Artifact
	filesUp bool // artifacts were left out at a cap
}

// takeResult decides what an exit code 0 is worth: the content of result.json,
// or the error of reading it.
func (o *outcome) takeResult(content []byte, err error, mode ResultMode) {
	if err != nil {
		if api.CodeOf(err) == api.CodeNotFound && mode == ResultOptional {
			return
		}
		o.badResult(reasonOf(err))
		return
	}
	line, reason := checkResult(content)
	if reason != "" {
		o.badResult(api.Errorf(api.CodeInvalid, "cannot take /work/result.json: because %s", reason).WithFix(resultFix))
		return
	}
	o.result = line
}

func (o *outcome) badResult(err *api.Error) {
	o.exec.Verdict, o.err = api.BadResult, err
}

// reasonOf words a failed read of result.json.
func reasonOf(err error) *api.Error {
	if api.CodeOf(err) == api.CodeNotFound {
		return api.Errorf(api.CodeNotFound, "cannot take /work/result.json: because the program exited 0 without writing it").WithFix(resultFix)
	}
	// What the host could not do is said already: only its reason is news.
	why := err.Error()
	if _, reason, ok := strings.Cut(why, "because "); ok {
		why = reason
	}
	return api.Errorf(api.CodeInvalid, "cannot take /work/result.json: because %s", why).WithFix(resultFix)
}

// itemResult is the line of results.jsonl for an item whose last attempt this was.
func (o *outcome) itemResult(customID string, attempts []api.Attempt) api.ItemResult {
	r := api.ItemResult{
		CustomID: customID, Verdict: o.exec.Verdict, OK: o.exec.Verdict == api.OK,
		Result: o.result, ExitCode: o.exec.ExitCode,
		Artifacts: o.files, Attempts: attempts, Usage: o.exec.Usage, Evidence: o.exec.Evidence,
		Sandbox: o.info.ID, Isolation: o.info.Isolation, Template: o.info.Template, Error: o.err,
	}
	if o.exec.Signal != "" {
		r.Signal = &o.exec.Signal
	}
	if r.Artifacts == nil {
		r.Artifacts = []api.Artifact{}
	}
	if r.Attempts == nil {
		r.Attempts = []api.Attempt{}
	}
	r.Stdout, r.StdoutBase64 = text(o.stdout)
	r.Stderr, r.StderrBase64 = text(o.stderr)
	// The limit is on both streams together, so either may have been cut.
	r.Truncated = api.Truncated{
		Stdout:    o.exec.Truncated && len(o.stdout) > 0,
		Stderr:    o.exec.Truncated && len(o.stderr) > 0,
		Artifacts: o.filesUp,
	}
	return r
}

// attempt is the short form that is kept of every attempt. code is what ran when
// a repairer wrote it, else "".
func (o *outcome) attempt(code string) api.Attempt {
	return api.Attempt{
		Verdict: o.exec.Verdict, ExitCode: o.exec.ExitCode,
		Stderr: tail(o.stderr, attemptStderr), WallMS: o.exec.Usage.WallMS, Code: code,
	}
}

// text gives a program's bytes as a JSON string, and in base64 beside it when
// they are not UTF-8 and the string is therefore not all of them.
func text(b []byte) (readable, b64 string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return strings.ToValidUTF8(string(b), "\uFFFD"), base64.StdEncoding.EncodeToString(b)
}

// tail is the end of a program's output, at most n bytes, from a line's start
// where that is near.
func tail(b []byte, n int) string {
	if len(b) > n {
		b = b[len(b)-n:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i < n/2 {
			b = b[i+1:]
		}
	}
	s, _ := text(b)
	return s
}

// encodeLine makes a result's line. What is too long for the journal loses its
// streams and, if that does not do, its result.
func encodeLine(r api.ItemResult) ([]byte, error) {
	line, err := marshalLine(r)
	if err != nil || len(line) <= maxLine {
		return line, err
	}
	clipStream(&r.Stdout, &r.StdoutBase64, &r.Truncated.Stdout)
	clipStream(&r.Stderr, &r.StderrBase64, &r.Truncated.Stderr)
	if line, err = marshalLine(r); err != nil || len(line) <= maxLine {
		return line, err
	}
	r.Result, r.OK, r.Verdict = nil, false, api.BadResult
	r.Error = api.Errorf(api.CodeInvalid, "cannot take /work/result.json: because it is larger than the %s that a line may have", api.FormatBytes(maxLine)).
		WithFix("let the program write large data as artifacts")
	return marshalLine(r)
}

func marshalLine(r api.ItemResult) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// clippedStream is what is left of a stream that is too long for a line.
const clippedStream = 64 << 10

func clipStream(s, b64 *string, cut *bool) {
	if len(*s) > clippedStream {
		*s = strings.ToValidUTF8((*s)[:clippedStream], "")
		*b64, *cut = "", true
	}
}

func decodeLine(line []byte) (r api.ItemResult, err error) {
	if err := json.Unmarshal(line, &r); err != nil {
		return r, api.Errorf(api.CodeInternal, "cannot read the journal: because a result is spoilt: %w", err).
			WithFix("run the batch again with another directory (-o)")
	}
	return r, nil
}
