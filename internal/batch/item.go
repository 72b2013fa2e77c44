package batch

import (
	"context"
	"errors"
	"fmt"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/repair"
	"github.com/brigdev/brig/internal/store"
)

const (
	// maxLost is how many dispatches of an item may end with the death of brig
	// itself before the item is held to be the cause. After two it runs alone, so
	// one that merely was under way when somebody killed brig is cleared then.
	maxLost = 5
	// What is kept of stderr with each attempt, and what a repairer is shown.
	attemptStderr = 2 << 10
	repairStderr  = 8 << 10
)

// errAbandoned says that the run ends before the item has a result.
var errAbandoned = errors.New("the item was abandoned")

// item runs one item to its result. Errors: errAbandoned, and ours.
func (w *worker) item(ctx context.Context, j job) error {
	l, err := w.lease(ctx, j)
	if err != nil {
		return err
	}
	w.tracker.Begin()
	if l.rec.Lost >= maxLost {
		return l.finish(ctx, quarantined())
	}
	var o outcome
	for {
		if err := l.dispatch(ctx); err != nil {
			w.tracker.Abandon()
			return err
		}
		it := j.item
		if l.rec.Code != "" {
			it.Code = l.rec.Code
		}
		if o, err = w.attempt(ctx, it); err != nil {
			w.tracker.Abandon()
			return l.withdraw(ctx, err)
		}
		l.rec.Lost = 0
		l.rec.Attempts = append(l.rec.Attempts, o.attempt(l.rec.Code))
		again, err := w.again(ctx, &l.rec, it.Code, j, o)
		if err != nil { // the next run has this attempt again, and all that are left
			l.rec.Attempts = l.rec.Attempts[:len(l.rec.Attempts)-1]
			w.tracker.Abandon()
			return l.withdraw(ctx, err)
		}
		if !again {
			break
		}
	}
	return l.finish(ctx, o)
}

// again decides whether the item gets another attempt, and with which code. The
// error is the run's end, before that was decided.
func (w *worker) again(ctx context.Context, rec *record, code string, j job, o outcome) (bool, error) {
	v := o.exec.Verdict
	if v == api.OK || platformFailed(v) || len(rec.Attempts) >= w.o.Attempts {
		return false, nil
	}
	if ctx.Err() != nil || w.o.Repairer == nil {
		return true, ctx.Err()
	}
	stderr := tail(o.stderr, repairStderr)
	if o.err != nil {
		stderr += "\n" + o.err.Message
	}
	better, err := w.o.Repairer.Repair(ctx, repair.Request{
		CustomID: j.item.CustomID, Language: j.item.Language, Code: code, Verdict: v,
		ExitCode: o.exec.ExitCode, Stderr: stderr, Attempt: len(rec.Attempts), Input: j.item.Input,
	})
	if err != nil && ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		w.o.Log.Warn("an item could not be repaired, so its failure stands", "custom_id", j.item.CustomID, "error", err)
		return false, nil
	}
	rec.Code = better
	return true, nil
}

// quarantined is the result of an item whose runs ended with brig's own death.
func quarantined() outcome {
	o := outcome{exec: api.ExecResult{Verdict: api.Infra, Evidence: api.Evidence{Reason: "quarantined"}}}
	o.err = api.Errorf(api.CodeInternal, "cannot run the item: because brig died %d times while it ran, and the item may be why", maxLost).
		WithFix("look at its code with brig batch show; run it again with --retry-failed --only ID")
	return o
}

// lease is an item's record in the journal, in the hands of one worker.
type lease struct {
	w      *worker
	job    job
	rec    record
	rev    uint64 // 0 before the first write
	before []byte // the value that a withdrawn dispatch leaves; nil when there was none
}

// lease reads the item's record, or begins one.
func (w *worker) lease(ctx context.Context, j job) (*lease, error) {
	l := &lease{w: w, job: j, rec: record{ID: j.item.CustomID}}
	if !j.recorded {
		return l, nil
	}
	r, err := w.store.Get(context.WithoutCancel(ctx), j.key.String())
	if err != nil {
		return nil, ours{err}
	}
	if l.rec, err = decodeRecord(r.Value); err != nil {
		return nil, ours{err}
	}
	l.rev, l.before = r.Rev, r.Value
	if l.rec.Done { // it failed and is run again from its beginning
		l.rec.Done, l.rec.Attempts, l.rec.Code = false, nil, ""
	}
	return l, nil
}

// dispatch writes to the journal that the item is about to run.
func (l *lease) dispatch(ctx context.Context) error {
	l.rec.Lost++
	return l.write(ctx, nil)
}

// withdraw takes the last dispatch back, because the run ends and brig is not
// dying. cause is why the attempt has no outcome.
func (l *lease) withdraw(ctx context.Context, cause error) error {
	value := l.before
	if len(l.rec.Attempts) > 0 || value == nil {
		l.rec.Lost = 0
		value = nil
	}
	l.undo(ctx, value)
	var mine ours
	if errors.As(cause, &mine) {
		return mine
	}
	return errAbandoned
}

// undo leaves value in the journal, or the record as it is now.
func (l *lease) undo(ctx context.Context, value []byte) {
	if err := l.write(ctx, value); err != nil {
		l.w.o.Log.Warn("a dispatch could not be withdrawn and counts as one that killed brig", "custom_id", l.rec.ID, "error", err)
	}
}

// finish writes the result: to the journal, where it is durable and can be
// written once, and then to results.jsonl.
func (l *lease) finish(ctx context.Context, o outcome) error {
	result := o.itemResult(l.rec.ID, l.rec.Attempts)
	line, err := encodeLine(result)
	if err != nil {
		return ours{fmt.Errorf("cannot encode the result of %.80q: %w", l.rec.ID, err)}
	}
	replaced := l.rec.Line != nil
	l.rec = record{ID: l.rec.ID, Done: true, Line: line}
	if err := l.write(ctx, nil); err != nil {
		// A full disk may have room for the little that makes the item run again.
		l.w.tracker.Abandon()
		l.rec = record{ID: l.rec.ID}
		l.undo(ctx, l.before)
		return err
	}
	return l.w.ended(result, line, replaced)
}

// write puts the record, or value in its place, into the journal. It is not
// interrupted: a write whose outcome nobody knows helps nobody.
func (l *lease) write(ctx context.Context, value []byte) error {
	ctx = context.WithoutCancel(ctx)
	var err error
	if value == nil {
		if value, err = l.rec.encode(); err != nil {
			return ours{err}
		}
	}
	rev := l.rev
	if rev == 0 {
		rev, err = l.w.store.Create(ctx, l.job.key.String(), value)
	} else {
		rev, err = l.update(ctx, value)
	}
	if err != nil {
		return ours{err}
	}
	l.rev = rev
	return nil
}

func (l *lease) update(ctx context.Context, value []byte) (uint64, error) {
	rev, err := l.w.store.Update(ctx, l.job.key.String(), value, l.rev)
	if errors.Is(err, store.ErrConflict) {
		err = api.Errorf(api.CodeConflict, "cannot write the result of %.80q: because somebody else wrote it: %w", l.rec.ID, err).
			WithFix("let only one brig work in %s", l.w.o.Out)
	}
	return rev, err
}
