package api

import (
	"encoding/json"
	"time"
)

// Item is one unit of a batch.
type Item struct {
	CustomID string            `json:"custom_id"`
	Code     string            `json:"code"`
	Language string            `json:"language,omitempty"` // default "python"
	Input    json.RawMessage   `json:"input,omitempty"`    // becomes /work/input.json
	Files    map[string]string `json:"files,omitempty"`    // path below /work → text, or base64:… for bytes
	Trust    string            `json:"trust,omitempty"`
	Timeout  float64           `json:"timeout_seconds,omitempty"`
}

// ItemResult is one line of results.jsonl. Stdout and Stderr are JSON strings
// when they are UTF-8; bytes that are not are carried in stdout_base64 or
// stderr_base64 beside a readable version with U+FFFD (docs/verdicts.md).
type ItemResult struct {
	CustomID     string          `json:"custom_id"`
	Verdict      Verdict         `json:"verdict"`
	OK           bool            `json:"ok"`
	Result       json.RawMessage `json:"result"` // null unless the verdict is ok
	ExitCode     *int            `json:"exit_code"`
	Signal       *string         `json:"signal"`
	Stdout       string          `json:"stdout"`
	Stderr       string          `json:"stderr"`
	StdoutBase64 string          `json:"stdout_base64,omitempty"`
	StderrBase64 string          `json:"stderr_base64,omitempty"`
	Truncated    Truncated       `json:"truncated"`
	Artifacts    []Artifact      `json:"artifacts"`
	Attempts     []Attempt       `json:"attempts"`
	Usage        Usage           `json:"usage"`
	Evidence     Evidence        `json:"evidence"`
	Sandbox      string          `json:"sandbox"`
	Isolation    Rung            `json:"isolation"`
	Template     string          `json:"template"`
	Error        *Error          `json:"error"` // why Brig failed (infra), or why the result is bad
}

// Truncated tells which parts of a result were cut at a limit.
type Truncated struct {
	Stdout    bool `json:"stdout"`
	Stderr    bool `json:"stderr"`
	Artifacts bool `json:"artifacts"`
}

// Artifact is a file that was read back beside the result.
type Artifact struct {
	Path   string `json:"path"` // relative to the item's artifacts folder
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Attempt is one run of an item's code.
type Attempt struct {
	Verdict  Verdict `json:"verdict"`
	ExitCode *int    `json:"exit_code"`
	Stderr   string  `json:"stderr"`
	WallMS   int64   `json:"wall_ms"`
	Code     string  `json:"code,omitempty"` // only when a repair changed it
}

// TimeoutDuration is Timeout as a duration, or def when it is absent.
func (it Item) TimeoutDuration(def time.Duration) time.Duration {
	if it.Timeout <= 0 {
		return def
	}
	return time.Duration(it.Timeout * float64(time.Second))
}
