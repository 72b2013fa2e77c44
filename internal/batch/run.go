package batch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

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

	fresh    bool         // no batch was begun in the output directory before
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
	err = errors.Join(r.execute(ctx), r.close())
	if r.fresh && r.results == nil && api.CodeOf(err) == api.CodeInvalid {
		err = errors.Join(err, r.o.Out.Forget()) // a better input must find no trace of this one
	}
	summary, err := r.end(ctx, err)
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

// oneLine leaves the first of several errors that say the same.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
