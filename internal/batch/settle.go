package batch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

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
		err = r.results.Rebuild(func() iter.Seq2[[]byte, error] { return r.lines(ctx) })
	}
	return errors.Join(err, r.results.Close())
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
