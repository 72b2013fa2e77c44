package batch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/store"
)

// run is one run of a batch.
type run struct {
	o       Options
	input   string // the path that is read; a copy when the input is a stream
	plan    plan
	store   store.Store
	results *outdir.Results
	tracker *progress.Tracker

	failures atomic.Int64 // in this run
	replaced atomic.Bool  // a result took the place of an earlier one
	stop     context.CancelCauseFunc
}

// Run runs a batch, or resumes it, until every item has a result or something
// stops it. What stops it so that it can be resumed (the context's end, a full
// disk, too many failures) is in the Summary and no error. Errors: CodeInvalid
// and CodeNotFound for options and input, CodeConflict when another brig runs
// the batch, and those of Host.Create. Nothing is written before the input can
// be opened and the host has made a sandbox.
func Run(ctx context.Context, o Options) (progress.Summary, error) {
	o, err := o.withDefaults()
	if err != nil {
		return progress.Summary{}, err
	}
	r := &run{o: o, input: o.Input, tracker: progress.NewTracker(nil)}
	err = r.execute(ctx)
	summary, err := r.end(ctx, errors.Join(err, r.close()))
	if err != nil {
		return progress.Summary{}, err
	}
	o.UI.End(summary)
	r.save(summary)
	return summary, nil
}

func (r *run) execute(ctx context.Context) error {
	if err := r.preflight(ctx); err != nil {
		return err
	}
	if err := r.open(ctx); err != nil {
		return err
	}
	defer r.show()()
	err := r.prepare(ctx)
	if err == nil {
		err = r.dispatch(ctx)
	}
	return errors.Join(err, r.settle(ctx))
}

// preflight finds out before anything is written whether the input can be
// opened and the host can make what is asked for.
func (r *run) preflight(ctx context.Context) error {
	if r.o.Input != "-" {
		in, err := input.Open(r.o.Input, input.Options{Format: r.o.Format})
		if err != nil {
			return err
		}
		if err := in.Close(); err != nil {
			return err
		}
	}
	w := worker{run: r}
	probe := input.Item{Item: api.Item{Language: "python"}}
	if r.o.Languages != nil && !slices.Contains(r.o.Languages, "python") {
		probe.Language = ""
	}
	_, err := w.sandbox(ctx, probe)
	w.destroy(ctx)
	return err
}

// open takes the output directory. From here on this is the only brig in it.
func (r *run) open(ctx context.Context) error {
	if err := r.o.Out.Make(); err != nil {
		return err
	}
	var err error
	if r.store, err = r.o.OpenJournal(ctx, r.o.Out.Journal()); err != nil {
		return err
	}
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
	if r.results, err = r.o.Out.OpenResults(func() iter.Seq2[[]byte, error] { return r.lines(ctx) }); err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
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

// load reads from the journal what earlier runs have done.
func (r *run) load(ctx context.Context) error {
	for stored, err := range r.store.All(ctx) {
		if err != nil {
			return err
		}
		k, ok := parseKey(stored.Key)
		if _, known := r.plan.index[k]; !ok || !known {
			continue
		}
		rec, err := decodeRecord(stored.Value)
		if err != nil {
			return err
		}
		r.plan.index.set(k, recorded)
		if rec.Lost > 0 {
			r.plan.index.set(k, lost)
		}
		if !rec.Done {
			continue
		}
		result, err := decodeLine(rec.Line)
		if err != nil {
			return err
		}
		if r.o.RetryFailed && !result.OK {
			continue
		}
		r.plan.index.set(k, done)
		if r.plan.index[k]&selected != 0 {
			r.tracker.Earlier(result)
		}
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

// ended is called for each result, once it is durable.
func (r *run) ended(result api.ItemResult, line []byte, replaced bool) error {
	if replaced {
		r.replaced.Store(true)
	}
	r.tracker.End(result)
	r.o.UI.Item(result)
	if !result.OK {
		if n := r.failures.Add(1); r.o.MaxFailures > 0 && n >= r.o.MaxFailures {
			r.stop(stopped{reason: fmt.Sprintf("stopped after %d failed items (--max-failures)", n), fix: "run the same command again to go on"})
		}
	}
	if err := r.results.Append(line); err != nil {
		return ours{err}
	}
	return nil
}

// settle leaves results.jsonl with one line per item.
func (r *run) settle(ctx context.Context) error {
	if r.results == nil {
		return nil
	}
	var err error
	if r.replaced.Load() {
		ctx := context.WithoutCancel(ctx)
		err = r.results.Sync(func() iter.Seq2[[]byte, error] { return r.lines(ctx) })
	}
	return errors.Join(err, r.results.Close())
}

// stopped is why a run ended early, in a way that it can be resumed.
type stopped struct{ reason, fix string }

func (s stopped) Error() string { return s.reason }

// end sorts out what ended the run.
func (r *run) end(ctx context.Context, err error) (progress.Summary, error) {
	var early stopped
	switch {
	case err == nil:
	case errors.Is(err, store.ErrFull):
		early = stopped{oneLine(err), api.FixOf(err)}
	case (errors.As(err, &early) || ctx.Err() != nil) && r.complete():
		early = stopped{} // it came too late to stop anything
	case early.reason != "":
	case ctx.Err() != nil:
		early = stopped{"interrupted: items that were running have no result and run again", "run the same command again to go on"}
	default:
		return progress.Summary{}, err
	}
	state := progress.Finished
	if early.reason != "" {
		state = progress.Stopped
	}
	r.tracker.Finish(state)
	s := r.tracker.Summary()
	s.Reason, s.Fix = early.reason, early.fix
	s.Input, s.Output, s.Format = r.o.Input, string(r.o.Out), string(r.plan.format)
	s.Items, s.Concurrency = r.plan.items, r.o.Concurrency
	return s, nil
}

// complete tells whether every item has its result.
func (r *run) complete() bool {
	s := r.tracker.Snapshot()
	return s.State == progress.Running && s.Done == s.Total
}

// save writes how the run ended, as far as the disk lets it.
func (r *run) save(s progress.Summary) {
	if r.results == nil {
		return // it never began
	}
	if err := errors.Join(r.o.Out.WriteSummary(s), r.o.Out.WriteProgress(r.tracker.Snapshot())); err != nil {
		r.o.Log.Warn("the summary could not be written", "error", err)
	}
}

func (r *run) close() error {
	if r.store == nil {
		return nil
	}
	return r.store.Close()
}

// show keeps the display and progress.json up to date until it is told to stop.
func (r *run) show() (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-quit:
				return
			case <-r.o.Ask:
				r.o.UI.Progress(r.tracker.Snapshot(), true)
			case <-tick.C:
				s := r.tracker.Snapshot()
				r.o.UI.Progress(s, false)
				if n%5 == 0 {
					if err := r.o.Out.WriteProgress(s); err != nil {
						r.o.Log.Debug("progress.json could not be written", "error", err)
					}
				}
			}
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}

// oneLine leaves the first of several errors that say the same.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
