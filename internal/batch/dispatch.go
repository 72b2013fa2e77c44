package batch

import (
	"context"
	"errors"
	"sync"

	"github.com/brigdev/brig/internal/batch/input"
)

// job is one item on its way to a worker.
type job struct {
	item     input.Item
	key      key
	recorded bool // the journal has a record of it
}

// dispatch hands the items to the workers and waits for all of them. Items that
// an earlier run lost come last: one that kills its worker must not keep the
// others from their results. The error is what stopped it.
func (r *run) dispatch(ctx context.Context) error {
	// feed ends when no more items shall be begun; what runs already ends by
	// itself then, unless ctx has ended too.
	feed, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	jobs := make(chan job)
	var wg sync.WaitGroup
	for range min(int64(r.o.Concurrency), max(r.plan.selected, 1)) {
		wg.Go(func() { r.work(ctx, jobs, stop) })
	}
	err := r.feed(feed, jobs)
	close(jobs)
	wg.Wait()
	if cause := context.Cause(feed); cause != nil {
		return cause
	}
	return err
}

// work is one worker's life.
func (r *run) work(ctx context.Context, jobs <-chan job, stop context.CancelCauseFunc) {
	w := worker{run: r}
	for _, g := range r.o.Artifacts {
		if glob, err := ParseGlob(g); err == nil { // checked with the options
			w.globs = append(w.globs, glob)
		}
	}
	defer w.destroy(ctx)
	for j := range jobs {
		var mine ours
		if err := w.item(ctx, j); errors.As(err, &mine) {
			stop(mine.error)
		}
	}
}

// feed reads the input again and sends what is to be run.
func (r *run) feed(ctx context.Context, jobs chan<- job) error {
	index := r.plan.index
	for _, lostOnes := range []bool{false, true} {
		if lostOnes && index.count(selected|lost) == 0 {
			break
		}
		_, err := each(ctx, r.input, r.o, func(it input.Item, bad *input.Rejected) error {
			if bad != nil {
				return nil // told when the plan was made
			}
			k := keyOf(it.CustomID)
			if !index.pending(k, lostOnes) {
				return nil
			}
			index.set(k, queued)
			select {
			case jobs <- job{it, k, index[k]&recorded != 0}:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
