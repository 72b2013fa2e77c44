package control

import (
	"context"
	"sync"

	"github.com/brigdev/brig/api"
)

// Chunk is a piece of a program's output.
type Chunk struct {
	Stream string `json:"stream"` // stdout or stderr
	// Offset is where it begins among all that the program has printed.
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`
}

// maxChunk bounds one chunk, so that dropping the oldest drops little.
const maxChunk = 16 << 10

// outputRing keeps the newest output, at most max bytes of it. Writing never
// blocks: who reads too slowly misses some and is told how much.
type outputRing struct {
	max int

	mu     sync.Mutex
	chunks []Chunk
	size   int
	end    int64         // offset behind the newest byte
	closed bool          // nothing more will come
	more   chan struct{} // closed at the next change
}

func newOutputRing(max int) *outputRing { return &outputRing{max: max, more: make(chan struct{})} }

// writer gives what a program writes one of its streams to.
func (r *outputRing) writer(stream string) ringWriter { return ringWriter{r, stream} }

type ringWriter struct {
	ring   *outputRing
	stream string
}

// Write never fails.
func (w ringWriter) Write(p []byte) (int, error) {
	w.ring.add(w.stream, p)
	return len(p), nil
}

func (r *outputRing) add(stream string, p []byte) {
	if len(p) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(p) > 0 {
		n := min(len(p), maxChunk)
		r.push(stream, p[:n])
		p = p[n:]
	}
	for r.size > r.max {
		r.size -= len(r.chunks[0].Data)
		r.chunks = r.chunks[1:]
	}
	r.changed()
}

// push adds to the last chunk where that is possible, because programs print a
// few bytes at a time.
func (r *outputRing) push(stream string, p []byte) {
	if n := len(r.chunks); n > 0 && r.chunks[n-1].Stream == stream && len(r.chunks[n-1].Data)+len(p) <= maxChunk {
		r.chunks[n-1].Data = append(r.chunks[n-1].Data, p...)
	} else {
		r.chunks = append(r.chunks, Chunk{Stream: stream, Offset: r.end, Data: append([]byte(nil), p...)})
	}
	r.size += len(p)
	r.end += int64(len(p))
}

func (r *outputRing) changed() {
	close(r.more)
	r.more = make(chan struct{})
}

// finish says that nothing more will come.
func (r *outputRing) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.changed()
	}
}

// reading is what a reader gets: the chunks from its offset on, and how to go on.
type reading struct {
	chunks []Chunk
	next   int64           // the offset to read from next
	more   <-chan struct{} // closed when there is more to read
	done   bool            // nothing will come after these
}

// read gives what is kept from offset on. The first chunk's Offset is beyond it
// when what was in between is no longer kept.
func (r *outputRing) read(offset int64) reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := reading{next: r.end, more: r.more, done: r.closed}
	for _, c := range r.chunks {
		skip := max(0, offset-c.Offset)
		if skip >= int64(len(c.Data)) {
			continue
		}
		got.chunks = append(got.chunks, Chunk{Stream: c.Stream, Offset: c.Offset + skip, Data: c.Data[skip:]})
	}
	return got
}

// span is the offsets of what is kept.
func (r *outputRing) span() (start, end int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end - int64(r.size), r.end
}

// follow gives chunks until the ring is finished, or ctx.
func (r *outputRing) follow(ctx context.Context, offset int64, wait bool, give func(Chunk) error) error {
	for {
		got := r.read(offset)
		for _, c := range got.chunks {
			if err := give(c); err != nil {
				return err
			}
		}
		if got.done || !wait {
			return nil
		}
		offset = got.next
		select {
		case <-got.more:
		case <-ctx.Done():
			return api.Errorf(api.CodeCancelled, "cannot follow the output: because the caller went away")
		}
	}
}
