package interpreter

import (
	"sync"

	"github.com/brigdev/brig/api"
)

// relayJoin is up to how many bytes pieces of output that wait are joined.
const relayJoin = 1 << 10

// relay passes a cell's events on to its sink, on a goroutine of its own: a caller
// that reads slowly, or not at all, holds up neither the kernel nor who wants to end
// it. What waits is bounded by what a cell may say.
type relay struct {
	sink func(api.CodeEvent)
	more chan struct{} // holds a token when there is something to look at
	over chan struct{}

	mu     sync.Mutex
	queue  []api.CodeEvent
	closed bool
}

func newRelay(sink func(api.CodeEvent)) *relay {
	r := &relay{sink: sink, more: make(chan struct{}, 1), over: make(chan struct{})}
	go r.run()
	return r
}

// give takes an event on and returns at once.
func (r *relay) give(e api.CodeEvent) {
	r.mu.Lock()
	if n := len(r.queue); n == 0 || !join(&r.queue[n-1], e) {
		r.queue = append(r.queue, e)
	}
	r.mu.Unlock()
	r.look()
}

// finish waits until the sink has had all.
func (r *relay) finish() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.look()
	<-r.over
}

func (r *relay) look() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *relay) run() {
	defer close(r.over)
	for range r.more {
		r.mu.Lock()
		events, closed := r.queue, r.closed
		r.queue = nil
		r.mu.Unlock()
		for _, e := range events {
			r.sink(e)
		}
		if closed {
			return
		}
	}
}

// join puts a short piece of output behind another of the same stream.
func join(last *api.CodeEvent, e api.CodeEvent) bool {
	switch {
	case e.Stdout != "" && last.Stdout != "" && len(last.Stdout)+len(e.Stdout) <= relayJoin:
		last.Stdout += e.Stdout
	case e.Stderr != "" && last.Stderr != "" && len(last.Stderr)+len(e.Stderr) <= relayJoin:
		last.Stderr += e.Stderr
	default:
		return false
	}
	return true
}
