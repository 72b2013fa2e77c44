package batch

import (
	"context"
	"errors"
	"iter"

	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
)

// open takes the output directory. From here on this is the only brig in it.
func (r *run) open(ctx context.Context) error {
	if err := r.o.Out.Make(); err != nil {
		return err
	}
	journal, err := r.o.OpenJournal(ctx, r.o.Out.Journal())
	if err != nil {
		return err
	}
	r.store = journal
	r.fresh = !r.o.Out.Exists()
	if r.o.Input == "-" {
		var resumed bool
		if r.input, resumed, err = r.o.Out.SpoolInput(r.o.Stdin); err != nil {
			return err
		}
		if resumed {
			r.o.UI.Notice("resuming with the input that was read before; standard input is not read")
		}
	}
	return r.identify()
}

// identify refuses a directory that belongs to another batch.
func (r *run) identify() error {
	id, err := outdir.Identify(r.input)
	if err != nil {
		return err
	}
	now := r.o.meta(id, r.o.Format)
	if r.o.Out.Exists() {
		begun, err := r.o.Out.ReadMeta()
		if err != nil {
			return err
		}
		if err := r.o.Out.Same(begun, now, r.o.RetryFailed); err != nil {
			return err
		}
		now.Input.Path = id.Path
	}
	return r.o.Out.WriteMeta(now)
}

// prepare reads the input and the journal: what there is to do, and what is done.
func (r *run) prepare(ctx context.Context) error {
	rejects, err := r.o.Out.OpenRejects()
	if err != nil {
		return err
	}
	r.plan, err = makePlan(ctx, r.input, r.o, func(bad *input.Rejected) error {
		r.tracker.Reject()
		r.notice(bad)
		return rejects.Add(bad)
	})
	if err := errors.Join(err, rejects.Close()); err != nil {
		return err
	}
	digest, err := r.load(ctx)
	if err != nil {
		return err
	}
	if r.results, err = r.o.Out.OpenResults(digest, func() iter.Seq2[[]byte, error] { return r.lines(ctx) }); err != nil {
		return err
	}
	r.tracker.Start(r.plan.selected)
	return nil
}

// shownRejects is how many bad records are told one by one.
const shownRejects = 5

func (r *run) notice(bad *input.Rejected) {
	switch n := r.tracker.Snapshot().Rejected; {
	case n <= shownRejects:
		r.o.UI.Notice("rejected: " + progress.Printable(bad.Error(), 300))
	case n == shownRejects+1:
		r.o.UI.Notice("rejected: more; they are all in " + r.o.Out.Rejected())
	}
}

// load reads from the journal what earlier runs have done, and sums up the
// result lines in it.
func (r *run) load(ctx context.Context) (digest outdir.Digest, err error) {
	for stored, err := range r.store.All(ctx) {
		if err != nil {
			return digest, err
		}
		rec, err := decodeRecord(stored.Value)
		if err != nil {
			return digest, err
		}
		if rec.Line != nil {
			digest.Add(rec.Line)
		}
		k, ok := parseKey(stored.Key)
		if _, known := r.plan.index[k]; !ok || !known {
			continue
		}
		if err := r.recall(k, rec); err != nil {
			return digest, err
		}
	}
	return digest, nil
}

// recall takes over what the journal knows of one item.
func (r *run) recall(k key, rec record) error {
	r.plan.index.set(k, recorded)
	if rec.Lost > 0 {
		r.plan.index.set(k, lost)
	}
	if rec.Lost > 1 {
		r.plan.index.set(k, suspect)
	}
	if !rec.Done {
		return nil
	}
	result, err := decodeLine(rec.Line)
	if err != nil || r.o.RetryFailed && !result.OK {
		return err
	}
	r.plan.index.set(k, done)
	if r.plan.index[k]&selected != 0 {
		r.tracker.Earlier(result)
	}
	return nil
}

// lines streams the result lines of the journal.
func (r *run) lines(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for stored, err := range r.store.All(ctx) {
			var rec record
			if err == nil {
				rec, err = decodeRecord(stored.Value)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if rec.Line != nil && !yield(rec.Line, nil) {
				return
			}
		}
	}
}
