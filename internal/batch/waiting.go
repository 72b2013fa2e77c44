package batch

import (
	"context"
	"slices"
	"sync"
)

// How far the reader looks ahead when items share sandboxes.
const (
	aheadItems = 512
	aheadBytes = 32 << 20 // of the items, together; one is always taken
)

// waiting holds items between the reader of the input and the workers. When
// items share sandboxes it looks ahead, so that a worker finds the next item for
// the sandbox that it has, however the trust domains alternate in the input.
type waiting struct {
	mu     sync.Mutex
	change sync.Cond
	jobs   []job // in the order of the input
	bytes  int   // of jobs
	most   int   // jobs
	closed bool  // no more come
}

func newWaiting(shared bool) *waiting {
	w := &waiting{most: 1}
	if shared {
		w.most = aheadItems
	}
	w.change.L = &w.mu
	return w
}

func (w *waiting) full() bool { return len(w.jobs) >= w.most || w.bytes >= aheadBytes }

// put waits for room. The error is why ctx ended.
func (w *waiting) put(ctx context.Context, j job) error {
	defer w.wakeAtEnd(ctx)()
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.full() && ctx.Err() == nil {
		w.change.Wait()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.jobs, w.bytes = append(w.jobs, j), w.bytes+j.bytes()
	w.change.Broadcast()
	return nil
}

// take waits for the reader to be as far ahead as it goes, and gives the first
// item of the trust domain, or with anyTrust the first one. It gives the first of
// another domain when there is none. ok is false when nothing more comes.
func (w *waiting) take(ctx context.Context, trust string, anyTrust bool) (j job, ok bool) {
	defer w.wakeAtEnd(ctx)()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.full() && !w.closed && ctx.Err() == nil {
		w.change.Wait()
	}
	if len(w.jobs) == 0 || ctx.Err() != nil {
		return job{}, false
	}
	at := 0
	if !anyTrust {
		at = max(0, slices.IndexFunc(w.jobs, func(j job) bool { return j.item.Trust == trust }))
	}
	j = w.jobs[at]
	w.jobs, w.bytes = slices.Delete(w.jobs, at, at+1), w.bytes-j.bytes()
	w.change.Broadcast()
	return j, true
}

// close says that nothing more comes.
func (w *waiting) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.change.Broadcast()
}

// wakeAtEnd ends waits when ctx ends, until the function that it gives is called.
func (w *waiting) wakeAtEnd(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.change.Broadcast()
	})
}

// bytes is about what a job holds in memory.
func (j job) bytes() int {
	n := len(j.item.Code) + len(j.item.Input)
	for name, content := range j.item.Files {
		n += len(name) + len(content)
	}
	return n
}
