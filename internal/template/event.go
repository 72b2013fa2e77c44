package template

import (
	"fmt"
	"strings"
)

// BuildEvent is something that happens in a build, in the order in which it
// happens.
type BuildEvent struct {
	// Event is "progress" (Text), "note" (Text, Line), "step" (Text, Step, Steps,
	// Line: it begins), "log" (Text is a line of a RUN, Stream), or "done" (of a
	// step: Cached, Digest of its layer, MS).
	Event  string `json:"event"`
	Text   string `json:"text,omitempty"`
	Step   int    `json:"step,omitempty"` // from 1
	Steps  int    `json:"steps,omitempty"`
	Line   int    `json:"line,omitempty"`   // of the Dockerfile
	Stream string `json:"stream,omitempty"` // stdout or stderr
	Cached bool   `json:"cached,omitempty"`
	Digest string `json:"digest,omitempty"`
	MS     int64  `json:"ms,omitempty"`
}

// String is the event as a line for people; "" when there is nothing to say.
func (e BuildEvent) String() string {
	switch e.Event {
	case "note":
		return fmt.Sprintf("line %d: %s", e.Line, e.Text)
	case "step":
		return fmt.Sprintf("[%d/%d] %s", e.Step, e.Steps, e.Text)
	case "log":
		return "  | " + e.Text
	case "done":
		if e.Cached {
			return "  cached"
		}
		return ""
	}
	return e.Text
}

// logLines takes a program's output apart into events, a line each. What has no
// line's end yet waits; lines that are too long are split, and after a limit the
// rest is counted only.
type logLines struct {
	step   int
	stream string
	emit   func(BuildEvent)
	line   []byte
	left   *int64 // shared by the streams of one step
}

// Of the log of one RUN: the longest line, and how much of it is passed on.
const (
	maxLogLine  = 4 << 10
	maxLogBytes = 8 << 20
)

func (l *logLines) Write(p []byte) (int, error) {
	before := *l.left
	*l.left -= int64(len(p))
	if before <= 0 {
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		n := len(rest)
		for i, c := range rest {
			if c == '\n' || len(l.line)+i >= maxLogLine {
				n = i + 1
				break
			}
		}
		l.line = append(l.line, rest[:n]...)
		rest = rest[n:]
		if l.line[len(l.line)-1] == '\n' || len(l.line) > maxLogLine {
			l.flush()
		}
	}
	if *l.left <= 0 {
		l.emit(BuildEvent{Event: "log", Step: l.step, Stream: l.stream, Text: "… the rest of this log is left out"})
	}
	return len(p), nil
}

func (l *logLines) flush() {
	if len(l.line) == 0 {
		return
	}
	text := strings.ToValidUTF8(strings.TrimRight(string(l.line), "\r\n"), "\ufffd")
	l.emit(BuildEvent{Event: "log", Step: l.step, Stream: l.stream, Text: text})
	l.line = l.line[:0]
}
