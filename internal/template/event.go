package template

import (
	"strings"

	"github.com/brigdev/brig/api"
)

// BuildEvent is something that happens in a build.
type BuildEvent = api.BuildEvent

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
