package host

import (
	"errors"
	"io"
)

var errOutputLimit = errors.New("the program wrote more than it may")

// outputCap counts what a program writes to both of its streams together, while
// it is read. Exactly the limit is passed on; the first byte beyond it ends the
// program. All writing happens on one goroutine, the one that runs the exec.
type outputCap struct {
	limit int64
	n     int64 // bytes that came, with those that were not passed on
	first *firstStop
}

// writer caps one of the streams; a nil w discards, and counts all the same.
func (c *outputCap) writer(w io.Writer) io.Writer { return cappedWriter{c, w} }

type cappedWriter struct {
	cap *outputCap
	to  io.Writer
}

func (w cappedWriter) Write(p []byte) (int, error) {
	room := max(0, w.cap.limit-w.cap.n)
	w.cap.n += int64(len(p))
	pass := p[:min(int64(len(p)), room)]
	if w.to != nil && len(pass) > 0 {
		if n, err := w.to.Write(pass); err != nil {
			return n, err
		}
	}
	if len(pass) < len(p) {
		w.cap.first.record(stopOutput)
		return len(pass), errOutputLimit
	}
	return len(p), nil
}
