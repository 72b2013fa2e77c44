package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

// UI shows a run. The methods may be called concurrently. What cannot be
// written is not shown; the batch goes on.
type UI interface {
	// Notice says one line to people.
	Notice(text string)
	// Item tells of a result.
	Item(r api.ItemResult)
	// Progress tells how far the run is. It is called some times a second; asked
	// means that somebody wants to know now.
	Progress(s Snapshot, asked bool)
	// End tells how the run ended.
	End(s Summary)
}

// plainEvery is how often plain output says how far the run is.
const plainEvery = 10 * time.Second

// NewPlain prints lines, one in ten seconds, and the report at the end.
func NewPlain(w, report io.Writer) UI { return &plain{w: w, report: report} }

type plain struct {
	w, report io.Writer
	mu        sync.Mutex
	last      time.Time
}

func (p *plain) Notice(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.w, text)
}

func (p *plain) Item(api.ItemResult) {}

func (p *plain) Progress(s Snapshot, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsZero() {
		p.last = s.Started
	}
	if asked || s.Updated.Sub(p.last) >= plainEvery {
		p.last = s.Updated
		fmt.Fprintln(p.w, s.Line())
	}
}

func (p *plain) End(s Summary) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Report(p.report)
}

// NewLive keeps one line of a terminal up to date, and prints the report at the
// end. width asks how wide the terminal is.
func NewLive(w, report io.Writer, width func() int) UI {
	return &live{w: w, report: report, width: width}
}

type live struct {
	w, report io.Writer
	width     func() int
	mu        sync.Mutex
	shown     bool
}

// clearLine takes the cursor to the start of the line and empties it.
const clearLine = "\r\x1b[K"

func (l *live) Notice(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	fmt.Fprintln(l.w, text)
}

func (l *live) Item(api.ItemResult) {}

func (l *live) Progress(s Snapshot, asked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := s.Line()
	if asked {
		l.clear()
		fmt.Fprintln(l.w, line)
		return
	}
	// A line that wraps can't be cleared, so the last column stays free.
	if w := max(l.width()-1, 20); len(line) > w {
		line = line[:w]
	}
	fmt.Fprint(l.w, clearLine+line)
	l.shown = true
}

func (l *live) clear() {
	if l.shown {
		fmt.Fprint(l.w, clearLine)
		l.shown = false
	}
}

func (l *live) End(s Summary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	s.Report(l.report)
}

// NewEvents prints one JSON object a line: {"event":"progress",…} once a second,
// "item", "notice" and, last, "end".
func NewEvents(w io.Writer) UI { return &events{w: w} }

type events struct {
	w    io.Writer
	mu   sync.Mutex
	last time.Time
}

func (e *events) Notice(text string) {
	e.print(struct {
		Event string `json:"event"`
		Text  string `json:"text"`
	}{"notice", text})
}

// Item leaves the streams out: they are in results.jsonl.
func (e *events) Item(r api.ItemResult) {
	e.print(struct {
		Event    string      `json:"event"`
		CustomID string      `json:"custom_id"`
		Verdict  api.Verdict `json:"verdict"`
		OK       bool        `json:"ok"`
		Attempts int         `json:"attempts"`
		Usage    api.Usage   `json:"usage"`
		Error    *api.Error  `json:"error,omitempty"`
	}{"item", r.CustomID, r.Verdict, r.OK, len(r.Attempts), r.Usage, r.Error})
}

func (e *events) Progress(s Snapshot, asked bool) {
	e.mu.Lock()
	due := asked || s.Updated.Sub(e.last) >= time.Second
	if due {
		e.last = s.Updated
	}
	e.mu.Unlock()
	if !due {
		return
	}
	e.print(struct {
		Event string `json:"event"`
		Snapshot
	}{"progress", s})
}

func (e *events) End(s Summary) {
	e.print(struct {
		Event string `json:"event"`
		Summary
	}{"end", s})
}

func (e *events) print(v any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	enc := json.NewEncoder(e.w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

// Line is a snapshot on one line.
func (s Snapshot) Line() string {
	if s.State == Reading {
		return "reading the input"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d", s.Done, s.Total)
	if s.Total > 0 {
		fmt.Fprintf(&b, " %d%%", 100*s.Done/s.Total)
	}
	fmt.Fprintf(&b, "  %.1f/s", s.Rate)
	if s.ETASeconds > 0 {
		fmt.Fprintf(&b, "  ETA %s", (time.Duration(s.ETASeconds) * time.Second).String())
	}
	for _, v := range api.Verdicts() {
		if n := s.Verdicts[v]; n > 0 {
			fmt.Fprintf(&b, "  %s %d", v, n)
		}
	}
	if s.Rejected > 0 {
		fmt.Fprintf(&b, "  rejected %d", s.Rejected)
	}
	if s.InFlight > 0 {
		fmt.Fprintf(&b, "  in flight %d", s.InFlight)
	}
	return b.String()
}
