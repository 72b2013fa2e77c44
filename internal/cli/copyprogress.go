package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/brigdev/brig/api"
)

// copyProgress is one line on a terminal's stderr about a copy that takes longer
// than a moment. Elsewhere it is silent.
type copyProgress struct {
	w     io.Writer // nil: silent
	began time.Time
	last  time.Time // something was printed
	bytes int64
}

const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

func newCopyProgress(env *Env) *copyProgress {
	p := &copyProgress{began: time.Now()}
	if f, ok := env.Stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) && !env.JSON {
		p.w = env.Stderr
	}
	return p
}

func (p *copyProgress) add(n int) {
	p.bytes += int64(n)
	now := time.Now()
	if p.w == nil || now.Sub(p.began) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	rate := float64(p.bytes) / now.Sub(p.began).Seconds()
	fmt.Fprintf(p.w, "\r%s, %s/s   ", api.FormatBytes(p.bytes), api.FormatBytes(int64(rate)))
}

// end takes the line away.
func (p *copyProgress) end() {
	if !p.last.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func (p *copyProgress) reader(r io.Reader) io.Reader { return progressReader{r, p} }
func (p *copyProgress) writer(w io.Writer) io.Writer { return progressWriter{w, p} }

type progressReader struct {
	r io.Reader
	p *copyProgress
}

func (r progressReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.p.add(n)
	return n, err
}

type progressWriter struct {
	w io.Writer
	p *copyProgress
}

func (w progressWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	w.p.add(n)
	return n, err
}
