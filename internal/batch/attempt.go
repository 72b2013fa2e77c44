package batch

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/host"
)

const (
	platformTries = 3                      // of one attempt, when Brig or the host fails
	firstBackoff  = 200 * time.Millisecond // doubled each time
)

// ours marks an error of Brig's own journal or disk: it is no item's, and ends
// the run.
type ours struct{ error }

func (e ours) Unwrap() error { return e.error }

// attempt runs an item's code once. Failures of the platform are tried again and
// then make the verdict infra; an error is one that every item would meet.
func (w *worker) attempt(ctx context.Context, it input.Item) (outcome, error) {
	for try := 1; ; try++ {
		o, err := w.once(ctx, it)
		if err == nil && !platformFailed(o.exec.Verdict) {
			return o, nil
		}
		if ctx.Err() != nil || errors.As(err, new(ours)) {
			return o, errors.Join(err, ctx.Err())
		}
		if try == platformTries || isItemsFault(err) {
			o.infra(err)
			return o, nil
		}
		w.o.Log.Warn("an item runs again because the platform failed", "custom_id", it.CustomID, "try", try, "verdict", o.exec.Verdict, "error", err)
		select {
		case <-time.After(firstBackoff << (try - 1)):
		case <-ctx.Done():
		}
	}
}

// platformFailed tells verdicts that are not the program's doing. Batches have
// no network, so what was lost can be run again.
func platformFailed(v api.Verdict) bool {
	return v == api.Unknown || v == api.Infra || v == api.Cancelled
}

// isItemsFault tells errors that trying again can't mend.
func isItemsFault(err error) bool {
	switch api.CodeOf(err) {
	case api.CodeInvalid, api.CodeUnsupported, api.CodeNotFound:
		return err != nil
	}
	return false
}

// infra makes the outcome say that Brig failed.
func (o *outcome) infra(err error) {
	if o.exec.Verdict == api.Unknown {
		o.err = api.Errorf(api.CodeInternal, "cannot tell how the program ended: because the sandbox was lost %d times", platformTries)
		return
	}
	o.exec = api.ExecResult{Verdict: api.Infra, Evidence: api.Evidence{Reason: "the platform failed"}}
	if err == nil {
		err = api.Errorf(api.CodeInternal, "cannot run the item: because the platform failed %d times", platformTries)
	}
	var e *api.Error
	if !errors.As(err, &e) {
		e = api.Errorf(api.CodeInternal, "cannot run the item: because %w", err)
	}
	o.err = e
}

// once makes or takes a sandbox, runs the item in it and reads it back.
func (w *worker) once(ctx context.Context, it input.Item) (o outcome, err error) {
	sb, err := w.sandbox(ctx, it)
	if err != nil {
		return o, err
	}
	o.info = sb.Info()
	defer func() { w.release(ctx, err == nil && reusable(o.exec.Verdict)) }()
	script, err := w.put(ctx, sb, it)
	if err != nil {
		return o, err
	}
	stdout, stderr := newCapture(w.o.Limits.OutputBytes), newCapture(w.o.Limits.OutputBytes)
	o.exec, err = sb.Exec(ctx, api.ExecSpec{
		Script: script, Language: it.Language, Timeout: it.TimeoutDuration(w.o.Limits.Timeout),
	}, host.Stdio{Stdout: stdout, Stderr: stderr})
	if err != nil {
		return o, err
	}
	o.stdout, o.stderr = stdout.kept.Bytes(), stderr.kept.Bytes()
	if o.exec.Verdict == api.OK && w.o.Result != ResultNone {
		content, err := w.readResult(ctx, sb)
		if err != nil && !isItemsFault(err) {
			return o, err
		}
		o.takeResult(content, err, w.o.Result)
	}
	if !reusable(o.exec.Verdict) {
		return o, nil // the sandbox is gone
	}
	if err := w.collect(ctx, sb, it, &o); errors.As(err, new(ours)) || o.exec.Verdict == api.OK {
		return o, err
	}
	return o, nil // a failed program may have taken its sandbox with it
}

// reusable tells whether a sandbox is still good behind a program that ended so.
func reusable(v api.Verdict) bool {
	return v == api.OK || v == api.Nonzero || v == api.BadResult
}

// put writes what the contract promises the program: its input, its files, and
// itself. It gives the script's path.
func (w *worker) put(ctx context.Context, sb host.Sandbox, it input.Item) (script string, err error) {
	if len(it.Input) > 0 {
		if err := sb.Put(ctx, api.WorkDir+"/input.json", 0o644, bytes.NewReader(it.Input)); err != nil {
			return "", err
		}
	}
	names := make([]string, 0, len(it.Files))
	for name := range it.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b, err := input.FileBytes(it.Files[name])
		if err != nil {
			return "", err // the reader has checked it
		}
		if err := sb.Put(ctx, path.Join(api.WorkDir, name), 0o644, bytes.NewReader(b)); err != nil {
			return "", err
		}
	}
	script = api.WorkDir + "/run." + input.Ext(it.Language)
	return script, sb.Put(ctx, script, 0o644, strings.NewReader(it.Code))
}

func (w *worker) readResult(ctx context.Context, sb host.Sandbox) ([]byte, error) {
	var b bytes.Buffer
	_, err := sb.Get(ctx, api.WorkDir+"/result.json", w.o.Limits.ResultBytes, &b)
	return b.Bytes(), err
}

// capture keeps a program's output. The host stops at the limit; this is the
// second lock on our memory. The buffer is not embedded: its ReadFrom would go
// round the cap.
type capture struct {
	kept bytes.Buffer
	max  int64
}

func newCapture(max int64) *capture { return &capture{max: max} }

func (c *capture) Write(b []byte) (int, error) {
	if room := c.max - int64(c.kept.Len()); int64(len(b)) > room {
		c.kept.Write(b[:room])
		return len(b), nil
	}
	return c.kept.Write(b)
}
