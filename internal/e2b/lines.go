package e2b

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/brigdev/brig/api"
)

// keepAlive is how often a quiet cell says that it still runs. The reply begins after
// beginWithin, because clients count a cell's time from then; what fails sooner has a
// status of its own.
const (
	keepAlive   = 5 * time.Second
	beginWithin = 100 * time.Millisecond
)

// lines streams what a cell says: one JSON object a line, each line sent at once. A
// slow reader holds back the cell. Everything is ASCII, because clients decode each
// piece that arrives by itself, and pieces end anywhere.
type lines struct {
	w http.ResponseWriter

	mu   sync.Mutex
	sent bool  // the reply has begun
	err  error // the first one: the reader is gone
}

func newLines(w http.ResponseWriter) *lines { return &lines{w: w} }

// start sends a sign of life every now and then, until stop, which waits for the
// last one.
func (l *lines) start() (stop func()) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTimer(beginWithin)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				l.send(map[string]any{"type": "keepalive"})
				tick.Reset(keepAlive)
			}
		}
	}()
	return func() { close(end); <-done }
}

func (l *lines) begun() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

func (l *lines) send(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		return // maps of plain values always marshal
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	if !l.sent {
		l.sent = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("Cache-Control", "no-store")
	}
	if _, l.err = l.w.Write(append(ascii(b), '\n')); l.err == nil {
		l.err = http.NewResponseController(l.w).Flush()
	}
}

// cell sends what a cell says.
func (l *lines) cell(e api.CodeEvent) {
	switch {
	case e.Result != nil:
		l.send(resultLine(*e.Result))
	case e.Stdout != "":
		l.send(outputLine("stdout", e.Stdout))
	case e.Stderr != "":
		l.send(outputLine("stderr", e.Stderr))
	}
}

func outputLine(stream, text string) map[string]any {
	return map[string]any{"type": stream, "text": text, "timestamp": time.Now().UTC().Format(time.RFC3339Nano)}
}

// end sends how a cell ended; err is why the platform failed it.
func (l *lines) end(x api.CodeExecution, err error) {
	if x.Truncated {
		l.send(outputLine("stderr", "\nbrig: a part of the output was dropped, because it was more than a cell may show\n"))
	}
	fault := x.Error
	switch {
	case err != nil:
		fault = &api.CodeError{Name: "ExecutionFailed", Value: err.Error(), Traceback: err.Error()}
	case x.TimedOut:
		fault = &api.CodeError{Name: "TimeoutError", Value: "the cell was interrupted at its time limit"}
	case x.Restarted:
		fault = &api.CodeError{Name: "KernelDied", Value: x.Reason, Traceback: "The kernel died, and an empty one took its place: " + x.Reason}
	}
	if fault != nil {
		l.send(map[string]any{"type": "error", "name": fault.Name, "value": fault.Value, "traceback": fault.Traceback})
	}
	l.send(map[string]any{"type": "number_of_executions", "execution_count": x.Count})
	l.send(map[string]any{"type": "end_of_execution"})
}

// resultLine is a result in E2B's words. What it has no word for is in extra.
func resultLine(r api.CodeResult) map[string]any {
	line := map[string]any{"type": "result", "is_main_result": r.Main}
	extra := map[string]any{}
	for mime, data := range r.Data {
		switch mime {
		case "text/plain":
			line["text"] = unquoted(data)
		case "text/html":
			line["html"] = data
		case "text/markdown":
			line["markdown"] = data
		case "text/latex":
			line["latex"] = data
		case "image/svg+xml":
			line["svg"] = data
		case "image/png":
			line["png"] = data
		case "image/jpeg":
			line["jpeg"] = data
		case "application/pdf":
			line["pdf"] = data
		case "application/javascript":
			line["javascript"] = data
		case "application/json":
			line["json"] = parsed(data)
		case "e2b/data":
			line["data"] = parsed(data)
		case "e2b/chart":
			line["chart"] = parsed(data)
		default:
			extra[mime] = data
		}
	}
	if len(extra) > 0 {
		line["extra"] = extra
	}
	return line
}

// unquoted takes one pair of quotes off, as E2B's server does: a string is shown
// as it would be printed.
func unquoted(s string) string {
	if n := len(s); n >= 2 && s[0] == s[n-1] && (s[0] == '\'' || s[0] == '"') {
		return s[1 : n-1]
	}
	return s
}

// parsed is JSON as JSON; a guest's text that is none stays text.
func parsed(s string) any {
	if json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	return s
}

// ascii writes JSON's other characters as escapes, which they may only be in
// strings.
func ascii(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for _, c := range string(b) {
		switch {
		case c < 0x80:
			out = append(out, byte(c))
		case c > 0xFFFF:
			high, low := utf16.EncodeRune(c)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
	}
	return out
}
