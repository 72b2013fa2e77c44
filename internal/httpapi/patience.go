package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// patience is how long callers are waited for.
type patience struct {
	header time.Duration // for a request's headers
	// pause is how long a body may bring nothing. It moves with every byte, so a large
	// upload over a slow line is served, and one that stands still is not.
	pause time.Duration
	// rest is how long the rest of a body is waited for that nobody reads.
	rest time.Duration
}

func defaultPatience() patience {
	return patience{header: 10 * time.Second, pause: time.Minute, rest: 5 * time.Second}
}

// errSlowBody is for a body that stood still.
var errSlowBody = errors.New("the request's body stood still")

// bodyMeter counts a body's bytes and bounds its pauses.
type bodyMeter struct {
	io.ReadCloser
	ctl   *http.ResponseController
	pause atomic.Int64 // a time.Duration; 0: it may
	rest  time.Duration
	n     atomic.Int64
	ended atomic.Bool
}

// meterBody puts one around the request's body, if it has any.
func meterBody(w http.ResponseWriter, r *http.Request, p patience) *bodyMeter {
	b := &bodyMeter{ReadCloser: r.Body, ctl: http.NewResponseController(w), rest: p.rest}
	if r.Body == nil || r.Body == http.NoBody {
		b.ended.Store(true)
		return b
	}
	b.pause.Store(int64(p.pause))
	r.Body = b
	return b
}

// waitForBody lets a body pause as long as it likes: for bytes that somebody types.
func waitForBody(r *http.Request) {
	if b, ok := r.Body.(*bodyMeter); ok {
		b.pause.Store(0)
	}
}

// Read implements io.Reader. The deadline is taken back after each read: it would
// end the connection while the handler works.
func (b *bodyMeter) Read(p []byte) (int, error) {
	if pause := time.Duration(b.pause.Load()); pause > 0 {
		_ = b.ctl.SetReadDeadline(time.Now().Add(pause)) // not all connections have them
		defer func() { _ = b.ctl.SetReadDeadline(time.Time{}) }()
	}
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	if err == io.EOF {
		b.ended.Store(true)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlowBody
	}
	return n, err
}

// end bounds the wait for what nobody has read.
func (b *bodyMeter) end() {
	if !b.ended.Load() {
		_ = b.ctl.SetReadDeadline(time.Now().Add(b.rest))
	}
}
