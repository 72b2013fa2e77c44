package interpreter

import (
	"strings"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// Bounds of what a cell may show besides bytes.
const (
	maxResults   = 1000     // of one cell
	maxTypes     = 32       // of one result
	maxTypeName  = 100      // bytes
	maxErrorName = 200      // bytes
	maxErrorText = 64 << 10 // bytes, of a value or a traceback
)

// cell collects what one cell says, within its limits. It belongs to the
// connection's goroutine until the request has ended or was abandoned.
type cell struct {
	x              api.CodeExecution
	stdout, stderr strings.Builder
	output, result int64 // room
	sink           func(api.CodeEvent)
}

func newCell(o RunOptions) *cell {
	return &cell{x: api.CodeExecution{Results: []api.CodeResult{}}, output: o.OutputBytes, result: o.ResultBytes, sink: o.Sink}
}

func (c *cell) finish() api.CodeExecution {
	c.x.Stdout, c.x.Stderr = c.stdout.String(), c.stderr.String()
	return c.x
}

// take takes one event. The kernel keeps the limits too, so that a flood does not
// even come here; but its word is not enough.
func (c *cell) take(e kernel.Event) {
	switch e.Type {
	case kernel.TypeStdout:
		if text := c.fit(e.Text); text != "" {
			c.stdout.WriteString(text)
			c.sink(api.CodeEvent{Stdout: text})
		}
	case kernel.TypeStderr:
		if text := c.fit(e.Text); text != "" {
			c.stderr.WriteString(text)
			c.sink(api.CodeEvent{Stderr: text})
		}
	case kernel.TypeResult:
		c.show(e)
	case kernel.TypeError:
		if c.x.Error == nil { // the first; one that follows is about it
			c.x.Error = &api.CodeError{Name: clip(e.Name, maxErrorName), Value: clip(e.Value, maxErrorText), Traceback: clip(e.Traceback, maxErrorText)}
		}
	}
}

// fit is as much of text as there is room for.
func (c *cell) fit(text string) string {
	if int64(len(text)) > c.output {
		text = clip(text, int(c.output))
		c.output, c.x.Truncated = 0, true
	}
	c.output -= min(c.output, int64(len(text)))
	return text
}

func (c *cell) show(e kernel.Event) {
	if e.Size() > c.result || len(c.x.Results) == maxResults || len(e.Data) == 0 || len(e.Data) > maxTypes {
		c.x.Truncated = true
		return
	}
	for name := range e.Data {
		if len(name) > maxTypeName {
			c.x.Truncated = true
			return
		}
	}
	c.result -= e.Size()
	r := api.CodeResult{Data: e.Data, Main: e.Main}
	c.x.Results = append(c.x.Results, r)
	c.sink(api.CodeEvent{Result: &r})
}

// clip cuts text at a character, to at most n bytes.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
