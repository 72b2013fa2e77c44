package batch

import (
	"context"
	"errors"
	"fmt"
	"iter"

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
