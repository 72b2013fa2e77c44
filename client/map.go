package client

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

const (
	defaultConcurrency = 8
	defaultAttempts    = 2
	defaultMapTTL      = 600             // seconds, of an item's sandbox
	createWithin       = 2 * time.Minute // the server gives up before
	deleteWithin       = 30 * time.Second
)

// Work is done with one item, in a sandbox that only this item has, and that is
// destroyed afterwards.
type Work[I, O any] func(ctx context.Context, sb *Sandbox, item I) (O, error)

// MapOptions say how Map goes about it; the zero value will do.
type MapOptions[I any] struct {
	// Create makes each item's sandbox; its TTL is 10 minutes unless it says otherwise.
	Create api.CreateRequest
	// Concurrency is how many items are worked on at a time, default 8. No more of the
	// items are taken than that.
	Concurrency int
	// Attempts is how often an item is tried, each time in a new sandbox, when it is
	// Brig that fails; default 2. Any other error of the work is final.
	Attempts int
	// Journal is a file that finished items are noted in, each as a line of JSON. Items
	// that are in it are not worked on again: their results come from it. Those that
	// failed are.
	Journal string
	// Key names an item in the journal, the same in every run; default: its place among
	// the items, from 0.
	Key func(place int, item I) string
	// Progress, if there is one, is told after each item.
	Progress func(MapProgress)
}

// MapProgress is how far a map is.
type MapProgress struct {
	Done    int // items, failed ones too
	Failed  int
	Resumed int // of those done: found in the journal
}

// MapResult is what became of one item.
type MapResult[O any] struct {
	Key      string
	Value    O
	Err      error // nil: Value counts
	Attempts int   // 0: the result is from the journal
}

// Map works on items, each in a sandbox of its own, and gives the results as they
// come. Items and results may be endless. Who stops reading, or ends ctx, ends the
// work that is under way, and its sandboxes with it. The pair's error is nil unless
// the map itself cannot go on: because of its journal, or of ctx.
func Map[I, O any](ctx context.Context, c *Client, items iter.Seq[I], o MapOptions[I], work Work[I, O]) iter.Seq2[MapResult[O], error] {
	return func(yield func(MapResult[O], error) bool) {
		j, err := openJournal(o.Journal)
		if err != nil {
			yield(MapResult[O]{}, err)
			return
		}
		defer j.close()
		ctx, cancel := context.WithCancel(ctx)
		m := &mapping[I, O]{c: c, o: o, work: work, journal: j, results: make(chan MapResult[O])}
		defer m.workers.Wait()
		defer cancel()
		m.start(ctx, items)
		var p MapProgress
		for r := range m.results {
			p.Done++
			if r.Err != nil {
				p.Failed++
			} else if r.Attempts == 0 {
				p.Resumed++
			} else if err := note(j, r.Key, r.Value); err != nil {
				yield(MapResult[O]{}, err)
				return
			}
			if o.Progress != nil {
				o.Progress(p)
			}
			if !yield(r, nil) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(MapResult[O]{}, cancelled(ctx.Err()))
		}
	}
}

// mapping is one Map under way.
type mapping[I, O any] struct {
	c       *Client
	o       MapOptions[I]
	work    Work[I, O]
	journal *journal
	results chan MapResult[O] // closed when all items are done
	workers sync.WaitGroup
}

// placed is an item with its key.
type placed[I any] struct {
	key  string
	item I
}

// start has workers work on items until there are no more, or ctx ends.
func (m *mapping[I, O]) start(ctx context.Context, items iter.Seq[I]) {
	n := m.o.Concurrency
	if n < 1 {
		n = defaultConcurrency
	}
	queue := make(chan placed[I])
	m.workers.Go(func() {
		defer close(queue)
		place := 0
		for item := range items {
			p := placed[I]{strconv.Itoa(place), item}
			if m.o.Key != nil {
				p.key = m.o.Key(place, item)
			}
			place++
			select {
			case queue <- p:
			case <-ctx.Done():
				return
			}
		}
	})
	var busy sync.WaitGroup
	for range n {
		busy.Go(func() { m.serve(ctx, queue) })
	}
	m.workers.Go(func() {
		busy.Wait()
		close(m.results)
	})
}

// serve is one worker.
func (m *mapping[I, O]) serve(ctx context.Context, queue <-chan placed[I]) {
	for p := range queue {
		r := m.one(ctx, p)
		select {
		case m.results <- r:
		case <-ctx.Done():
			return
		}
	}
}

// one gives an item's result, from the journal or by working on it.
func (m *mapping[I, O]) one(ctx context.Context, p placed[I]) MapResult[O] {
	r := MapResult[O]{Key: p.key}
	if found, ok := recall[O](m.journal, p.key); ok {
		r.Value = found
		return r
	}
	attempts := m.o.Attempts
	if attempts < 1 {
		attempts = defaultAttempts
	}
	for r.Attempts < attempts {
		r.Attempts++
		if r.Value, r.Err = m.attempt(ctx, p.item); r.Err == nil || ctx.Err() != nil || !brigFailed(r.Err) {
			break
		}
	}
	return r
}

// attempt works on an item in a new sandbox. The making of that is never given up
// half-way, which would leave it behind.
func (m *mapping[I, O]) attempt(ctx context.Context, item I) (O, error) {
	var none O
	if err := ctx.Err(); err != nil {
		return none, cancelled(err)
	}
	req := m.o.Create
	if req.TTLSeconds == 0 {
		req.TTLSeconds = defaultMapTTL
	}
	making, stop := context.WithTimeout(context.WithoutCancel(ctx), createWithin)
	defer stop()
	sb, err := m.c.Sandboxes.Create(making, req)
	if err != nil {
		return none, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWithin)
		defer cancel()
		_ = sb.Delete(ctx) // else its deadline does
	}()
	return m.work(ctx, sb, item)
}

// brigFailed tells whether another sandbox may do better.
func brigFailed(err error) bool {
	var e *api.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case api.CodeUnavailable, api.CodeExhausted, api.CodeInternal:
		return true
	}
	return false
}
