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

// dispatch runs the rounds, one after the other. The error is what stopped it.
func (r *run) dispatch(ctx context.Context) error {
	// feed ends when no more items shall be begun; what runs already ends by
	// itself then, unless ctx has ended too.
	feed, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	for n := range rounds {
		if !r.plan.index.any(n) {
			continue
		}
		workers := min(int64(r.o.Concurrency), r.plan.selected)
		if n == suspects {
			workers = 1
		}
		err := r.round(ctx, feed, n, workers)
		if cause := context.Cause(feed); cause != nil {
			return cause
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// round hands one round's items to workers and waits for all of them.
func (r *run) round(ctx, feed context.Context, n round, workers int64) error {
	jobs := newWaiting(r.o.Per.shared())
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { r.work(ctx, feed, jobs) })
	}
	err := r.feed(feed, n, jobs)
	jobs.close()
	wg.Wait()
	return err
}

// work is one worker's life. It begins no item once feed has ended.
func (r *run) work(ctx, feed context.Context, jobs *waiting) {
	w := worker{run: r}
	for _, g := range r.o.Artifacts {
		if glob, err := ParseGlob(g); err == nil { // checked with the options
			w.globs = append(w.globs, glob)
		}
	}
	defer w.destroy(ctx)
	for {
		j, ok := jobs.take(feed, w.trust, w.box == nil)
		if !ok {
			return
		}
		var mine ours
		if err := w.item(ctx, j); errors.As(err, &mine) {
			r.stop(mine.error)
		}
	}
}

// feed reads the input again and sends what a round is about.
func (r *run) feed(ctx context.Context, n round, jobs *waiting) error {
	index := r.plan.index
	_, err := each(ctx, r.input, r.o, func(it input.Item, bad *input.Rejected) error {
		if bad != nil {
			return nil // told when the plan was made
		}
		k := keyOf(it.CustomID)
		if !index.in(n, k) {
			return nil
		}
		index.set(k, queued)
		return jobs.put(ctx, job{it, k, index[k]&recorded != 0})
	})
	return err
}
