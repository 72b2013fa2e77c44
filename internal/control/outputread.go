package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/brigdev/brig/api"
)

// reading is what a reader gets: the chunks from its offset on, and how to go on.
type reading struct {
	chunks []Chunk
	next   int64           // the offset to read from next
	more   <-chan struct{} // closed when there is more to read
	done   bool            // nothing will come after these
}

// read gives some of what is kept from offset on. The first chunk's Offset is
// beyond it when what was in between is no longer kept.
func (o *outputLog) read(offset int64) reading {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := min(max(offset, o.start), o.end)
	p := make([]byte, min(o.end-at, maxRead))
	got := reading{more: o.more}
	if err := o.bytes.get(at, p); err != nil {
		o.forget() // as good as dropped
		at, p = o.end, nil
	}
	got.next = at + int64(len(p))
	got.done = o.closed && got.next == o.end
	first, found := slices.BinarySearchFunc(o.runs, at, func(r outputRun, at int64) int { return cmp.Compare(r.start, at) })
	if !found {
		first--
	}
	for i := first; i < len(o.runs) && len(p) > 0; i++ {
		n := int64(len(p))
		if i+1 < len(o.runs) {
			n = min(n, o.runs[i+1].start-at)
		}
		got.chunks = append(got.chunks, Chunk{Stream: o.runs[i].stream, Offset: at, Data: p[:n]})
		p, at = p[n:], at+n
	}
	return got
}

// follow gives chunks from offset on until the process has ended, or ctx; without
// wait it gives what there is. An attached reader is waited for.
func (o *outputLog) follow(ctx context.Context, offset int64, wait, attached bool, give func(Chunk) error) error {
	at := offset
	if attached {
		leave := o.attach(&at)
		defer leave()
	}
	for {
		got := o.read(at)
		for _, c := range got.chunks {
			if err := give(c); err != nil {
				return err
			}
		}
		o.advance(&at, got.next, attached)
		if got.done {
			return nil
		}
		if len(got.chunks) > 0 {
			continue
		}
		if !wait {
			return nil
		}
		select {
		case <-got.more:
		case <-ctx.Done():
			return api.Errorf(api.CodeCancelled, "cannot follow the output: because the caller went away")
		}
	}
}

// attach has the process wait for who is at *at, until leave.
func (o *outputLog) attach(at *int64) (leave func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*at = max(*at, o.start)
	o.readers[at] = true
	o.heldUntil = time.Time{}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.readers, at)
		if len(o.readers) == 0 && (*at < o.end || !o.closed) {
			o.held, o.heldUntil = *at, time.Now().Add(holdFor)
		}
		o.changed()
	}
}

func (o *outputLog) advance(at *int64, to int64, attached bool) {
	if to == *at {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	*at = to
	if attached {
		o.changed()
	}
}
