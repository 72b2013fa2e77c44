package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"
)

// pingEvery is how often a comment is sent, so that nobody in between takes a
// quiet stream for a dead one.
const pingEvery = 15 * time.Second

// eventStream sends server-sent events: LF only, each ended by a blank line. A
// slow reader holds back who sends.
type eventStream struct {
	w http.ResponseWriter

	mu    sync.Mutex
	begun bool
	err   error // the first one: the reader is gone
}

func newEventStream(w http.ResponseWriter) *eventStream { return &eventStream{w: w} }

// start begins the reply and pings until stop, which waits for the last ping.
func (e *eventStream) start() (stop func()) {
	e.mu.Lock()
	e.begin()
	e.flush()
	e.mu.Unlock()
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				_ = e.write([]byte(": ping\n\n"))
			}
		}
	}()
	return sync.OnceFunc(func() { close(end); <-done })
}

// begin writes the headers once. The caller holds mu.
func (e *eventStream) begin() {
	if e.begun {
		return
	}
	e.begun = true
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8") // without it some clients read Latin-1
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	e.w.WriteHeader(http.StatusOK)
}

func (e *eventStream) flush() {
	if err := http.NewResponseController(e.w).Flush(); err != nil && e.err == nil {
		e.err = err
	}
}

func (e *eventStream) write(b []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin()
	if e.err == nil {
		_, e.err = e.w.Write(b)
	}
	if e.err == nil {
		e.flush()
	}
	return e.err
}

// send sends one event; without a name it is a plain message. U+0085 is escaped, like
// U+2028 and U+2029: published clients take it for the end of a line.
func (e *eventStream) send(name string, v any) error { return e.sendFrom("", name, v) }

// sendFrom is send with an id, which a reader that lost its connection sends back to
// go on behind the event.
func (e *eventStream) sendFrom(id, name string, v any) error {
	var b bytes.Buffer
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	if name != "" {
		b.WriteString("event: " + name + "\n")
	}
	b.WriteString("data: ")
	enc := json.NewEncoder(&b) // ends the line, and has no other line breaks
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	b.WriteString("\n")
	return e.write(bytes.ReplaceAll(b.Bytes(), []byte("\u0085"), []byte(`\u0085`)))
}

// text gives a writer whose bytes become events of that name. Bytes that are not
// UTF-8 become U+FFFD, and come exactly beside it; a character that is not whole yet
// waits for its rest.
func (e *eventStream) text(name string) *textEvents { return &textEvents{stream: e, name: name} }

type textEvents struct {
	stream *eventStream
	name   string
	rest   []byte
}

func (t *textEvents) Write(p []byte) (int, error) {
	b := append(t.rest, p...)
	n := wholeRunes(b)
	t.rest = append([]byte(nil), b[n:]...)
	return len(p), t.emit(b[:n])
}

// flush sends what waits for a rest that did not come.
func (t *textEvents) flush() {
	_ = t.emit(t.rest) // the reader is gone if this fails
	t.rest = nil
}

func (t *textEvents) emit(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return t.stream.send(t.name, chunkOf(b))
}

// wholeRunes is how many bytes of b come before a last character that may still
// be going on.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}
