package api

// CodeResult is one value that a cell showed, as a MIME bundle. Binary types are
// base64, JSON types are JSON text, all others are text.
type CodeResult struct {
	Data map[string]string `json:"data"`
	// Main is the value of the cell's last expression, as opposed to what it
	// displayed.
	Main bool `json:"main,omitempty"`
}

// CodeError is an exception that ended a cell.
type CodeError struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	Traceback string `json:"traceback"`
}

// CodeExecution is the end of one cell.
type CodeExecution struct {
	Results []CodeResult `json:"results"`
	Stdout  string       `json:"stdout"`
	Stderr  string       `json:"stderr"`
	Error   *CodeError   `json:"error,omitempty"`
	// Count is the cell's number in its context, from 1.
	Count int `json:"execution_count"`
	// TimedOut says that the cell was interrupted at its timeout; the context lives.
	TimedOut bool `json:"timed_out,omitempty"`
	// Restarted says that the kernel died in this cell and a new one, empty, took
	// its place; Reason says of what.
	Restarted bool   `json:"restarted,omitempty"`
	Reason    string `json:"reason,omitempty"`
	// Truncated says that output or results were cut at the limit.
	Truncated bool  `json:"truncated,omitempty"`
	WallMS    int64 `json:"wall_ms"`
}

// CodeEvent is something that a cell says while it runs. Exactly one field is set.
type CodeEvent struct {
	Stdout string      `json:"stdout,omitempty"`
	Stderr string      `json:"stderr,omitempty"`
	Result *CodeResult `json:"result,omitempty"`
}

// CodeContext is one interpreter session: state that cells share.
type CodeContext struct {
	ID       string `json:"id"`
	Language string `json:"language"` // python, javascript
	Cwd      string `json:"cwd"`
	Default  bool   `json:"default,omitempty"`
}
