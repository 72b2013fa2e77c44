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

// stdin carries a program's input, never more of it than the guest granted.
type stdin struct {
	c  *Client
	id uint32
	r  io.Reader

	sending sync.Mutex // held while a frame is written; stop waits for it

	mu      sync.Mutex // guards what follows
	change  *sync.Cond
	credit  int
	stopped bool
}

func newStdin(c *Client, id uint32, r io.Reader) *stdin {
	in := &stdin{c: c, id: id, r: r, credit: InitialWindow}
	in.change = sync.NewCond(&in.mu)
	return in
}

// appendAll appends the frames of an input that is at hand and fits the first
// window, so that they travel with EXEC. Else it appends nothing and the pump
// is needed.
func (in *stdin) appendAll(b []byte) ([]byte, bool) {
	if in.r != nil {
		n, ok := inMemory(in.r)
		if !ok || n > min(InitialWindow, MaxData) {
			return b, false
		}
		if n > 0 {
			data := make([]byte, n)
			n, _ = in.r.Read(data) // these readers do not fail
			b = AppendFrame(b, Frame{Type: TypeStdin, Stream: in.id, Payload: data[:n]})
		}
	}
	return AppendFrame(b, Frame{Type: TypeStdinEOF, Stream: in.id}), true
}

// pump copies the input until it ends or stop is called. A reader's error ends
// the Exec, because the program must not take half an input for the whole.
func (in *stdin) pump(ctx context.Context, fail context.CancelCauseFunc) {
	unwatch := context.AfterFunc(ctx, in.halt)
	defer unwatch()
	b := make([]byte, headerLen+MaxData)
	for {
		credit := in.wait()
		if credit == 0 {
			return
		}
		n, err := in.r.Read(b[headerLen : headerLen+min(credit, MaxData)])
		if n > 0 {
			putHeader(b, TypeStdin, in.id, n)
			in.use(n)
			if !in.send(ctx, b[:headerLen+n]) {
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			in.send(ctx, AppendFrame(nil, Frame{Type: TypeStdinEOF, Stream: in.id}))
			return
		case err != nil:
			fail(&ReaderError{Err: err})
			return
		}
	}
}

// send writes a frame unless the program has ended. An error needs no report:
// the reader of the connection meets it too.
func (in *stdin) send(ctx context.Context, b []byte) bool {
	in.sending.Lock()
	defer in.sending.Unlock()
	in.mu.Lock()
	stopped := in.stopped
	in.mu.Unlock()
	return !stopped && in.c.write(ctx, b) == nil
}

// wait gives the credit as soon as there is some, or 0 when the program ended.
func (in *stdin) wait() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.credit == 0 && !in.stopped {
		in.change.Wait()
	}
	if in.stopped {
		return 0
	}
	return in.credit
}

func (in *stdin) use(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.credit -= n
}

// halt makes the pump end when it next looks.
func (in *stdin) halt() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stopped = true
	in.change.Broadcast()
}

// stop halts the pump and waits for a frame that is on its way, so that a
// cancelled context never cuts it in half. It does not wait for a Read.
func (in *stdin) stop() {
	in.halt()
	in.sending.Lock()
	defer in.sending.Unlock()
}

// grant adds what a WINDOW frame allows.
func (c *Client) grant(in *stdin, f Frame) error {
	r := NewReader(f.Payload)
	n := r.U32()
	if r.Err != nil {
		return c.violation("its WINDOW frame has malformed fields")
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if int64(in.credit)+int64(n) > maxWindow {
		return c.violation("it granted a window above %d bytes", maxWindow)
	}
	in.credit += int(n)
	in.change.Broadcast()
	return nil
}
