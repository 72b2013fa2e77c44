package control

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/brigdev/brig/api"
)

// errProcessEnded is why writing to a process fails that has ended.
var errProcessEnded = errors.New("the process has ended")

// feed is the stdin of a background process: a short queue.
type feed struct {
	queue chan []byte
	ended chan struct{} // closed with the program
	once  sync.Once
	rest  []byte
	turn  chan struct{} // one writer at a time
	eof   atomic.Bool   // the writers have closed it
}

func newFeed() *feed {
	return &feed{queue: make(chan []byte, 4), ended: make(chan struct{}), turn: make(chan struct{}, 1)}
}

// stop says that the program has ended.
func (f *feed) stop() { f.once.Do(func() { close(f.ended) }) }

// closed tells whether the writers have closed it. It does not wait for one that
// is at work: its caller may pause for as long as it likes.
func (f *feed) closed() bool { return f.eof.Load() }

// Read gives the program what was queued.
func (f *feed) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		select {
		case b, ok := <-f.queue:
			if !ok {
				return 0, io.EOF
			}
			f.rest = b
		case <-f.ended:
			return 0, io.EOF
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// copyFrom queues all of r; it waits while the program does not read.
func (f *feed) copyFrom(ctx context.Context, r io.Reader, eof bool) error {
	ended := func() error {
		return api.Errorf(api.CodeConflict, "cannot write: because %w", errProcessEnded).WithFix("look at its result")
	}
	select {
	case f.turn <- struct{}{}:
	case <-f.ended:
		return ended()
	case <-ctx.Done():
		return api.Errorf(api.CodeCancelled, "cannot write: because the caller went away")
	}
	defer func() { <-f.turn }()
	if f.eof.Load() {
		return api.Errorf(api.CodeConflict, "cannot write: because the stdin was closed").WithFix("start another process")
	}
	for {
		buf := make([]byte, 32<<10)
		n, err := r.Read(buf)
		if n > 0 {
			select {
			case <-f.ended: // even where the queue has room
				return ended()
			default:
			}
			select {
			case f.queue <- buf[:n]:
			case <-f.ended:
				return ended()
			case <-ctx.Done():
				return api.Errorf(api.CodeCancelled, "cannot write: because the caller went away")
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return api.Errorf(api.CodeInvalid, "cannot write: because the input broke off: %w", err)
		}
	}
	if eof {
		f.eof.Store(true)
		close(f.queue)
	}
	return nil
}
