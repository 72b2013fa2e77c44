package guest

import (
	"context"
	"errors"
	"io"
	"sync"
)

// maxWindow bounds the credit that a guest may grant, far above what an honest
// one does.
const maxWindow = 1 << 30

// stdin sends a program's request and then its input, never more of it than the
// guest granted. It has a goroutine of its own, because Exec has to receive
// meanwhile: a guest may answer before it has read everything.
type stdin struct {
	c  *Client
	st *stream
	r  io.Reader
	// late means that the program ran before: its input is left alone when there is
	// no reader, and nothing is sent before the guest granted it.
	late bool

	mu       sync.Mutex // guards what follows
	change   *sync.Cond
	credit   int
	stopped  bool // the program has ended
	reading  bool // the goroutine is in r.Read, where nothing reaches it
	finished bool // the goroutine is at its end
}

func newStdin(c *Client, st *stream, r io.Reader, late bool) *stdin {
	in := &stdin{c: c, st: st, r: r, late: late, credit: InitialWindow}
	if late {
		in.credit = 0
	}
	in.change = sync.NewCond(&in.mu)
	return in
}

// pump sends b, which holds the request, and then the input until it ends or
// stop is called. A reader's error ends the Exec, because the program must not
// take half an input for the whole.
func (in *stdin) pump(ctx context.Context, b []byte, fail context.CancelCauseFunc) {
	defer in.finish()
	defer context.AfterFunc(ctx, in.halt)()
	b, whole := in.appendWhole(b)
	if err := in.c.write(ctx, b); err != nil {
		in.c.forget(in.st)
		fail(err)
		return
	}
	if whole {
		return
	}
	// An error of a later write needs no report: the connection's reader meets
	// it too.
	b = make([]byte, headerLen+MaxData)
	for {
		room := in.admit()
		if room == 0 {
			return
		}
		n, err := in.r.Read(b[headerLen : headerLen+room])
		if !in.took(n) {
			return
		}
		if n > 0 {
			putHeader(b, TypeStdin, in.st.id, n)
			if in.c.write(ctx, b[:headerLen+n]) != nil {
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = in.c.write(ctx, AppendFrame(nil, Frame{Type: TypeStdinEOF, Stream: in.st.id}))
			return
		case err != nil:
			fail(&ReaderError{Err: err})
			return
		}
	}
}

// appendWhole appends the frames of an input that is at hand and fits the first
// window, so that they travel with the request. Else it appends nothing.
func (in *stdin) appendWhole(b []byte) ([]byte, bool) {
	if in.late {
		return b, in.r == nil
	}
	if in.r != nil {
		n, ok := inMemory(in.r)
		if !ok || n > min(InitialWindow, MaxData) {
			return b, false
		}
		if n > 0 {
			data := make([]byte, n)
			n, _ = in.r.Read(data) // these readers do not fail
			b = AppendFrame(b, Frame{Type: TypeStdin, Stream: in.st.id, Payload: data[:n]})
		}
	}
	return AppendFrame(b, Frame{Type: TypeStdinEOF, Stream: in.st.id}), true
}

// admit waits until something may be read and says how much; 0 when the program
// has ended.
func (in *stdin) admit() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.credit == 0 && !in.stopped {
		in.change.Wait()
	}
	if in.stopped {
		return 0
	}
	in.reading = true
	in.change.Broadcast()
	return min(in.credit, MaxData)
}

// took accounts for what was read and says whether anybody still wants it.
func (in *stdin) took(n int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.reading = false
	in.credit -= n
	return !in.stopped
}

// halt makes the goroutine end when it next looks.
func (in *stdin) halt() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stopped = true
	in.change.Broadcast()
}

func (in *stdin) finish() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.finished = true
	in.change.Broadcast()
}

// stop halts the goroutine and waits for its end, and so for a frame that is on
// its way; only for a Read it does not wait.
func (in *stdin) stop() {
	in.halt()
	in.mu.Lock()
	defer in.mu.Unlock()
	for !in.reading && !in.finished {
		in.change.Wait()
	}
}

// grant adds what a WINDOW frame allows.
func (in *stdin) grant(f Frame) error {
	r := NewReader(f.Payload)
	n := r.U32()
	if r.Err != nil {
		return protocolErrorf("its WINDOW frame has malformed fields")
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if int64(in.credit)+int64(n) > maxWindow {
		return protocolErrorf("it granted a window above %d bytes", maxWindow)
	}
	in.credit += int(n)
	in.change.Broadcast()
	return nil
}
