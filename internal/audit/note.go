// Package audit keeps who did what: a log that is only ever appended to, in files
// that outlive the server. An entry has no secret: of programs and code it has a
// hash, of keys the beginning, of files nothing but the size of a transfer.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"
)

// Entry is one line of the log.
type Entry struct {
	ID   int64     `json:"id"` // counts up by one
	Time time.Time `json:"time"`
	// Owner is for whom it was done; Actor is who: the beginning of a key, "socket",
	// or "server" for what happens by itself. Both are empty when nobody was admitted.
	Owner  string `json:"owner,omitempty"`
	Actor  string `json:"actor,omitempty"`
	Remote string `json:"remote,omitempty"` // address of the caller
	Action string `json:"action"`           // a route, as in the route table, or egress, ended
	Target string `json:"target,omitempty"` // id of a sandbox, snapshot, …
	// ArgvSHA256 is the hash of the program's argv as a JSON array, or of a cell's code.
	ArgvSHA256 string `json:"argv_sha256,omitempty"`
	// Outcome is ok, denied, refused, failed or broken; of a program its verdict.
	Outcome    string `json:"outcome"`
	Status     int    `json:"status,omitempty"` // of HTTP
	BytesIn    int64  `json:"bytes_in,omitempty"`
	BytesOut   int64  `json:"bytes_out,omitempty"`
	DurationMS int64  `json:"duration_ms,omitempty"`
	RequestID  string `json:"request_id,omitempty"`
	// Detail has what else an action tells: of egress the decision.
	Detail map[string]string `json:"detail,omitempty"`
}

// Note collects what only those below the HTTP routes know of one request. All
// methods may be called on nil, and concurrently.
type Note struct {
	mu      sync.Mutex
	owner   string
	target  string
	argv    string
	outcome string
}

type noteKey struct{}

// With gives a context whose work is noted down in n.
func With(ctx context.Context, n *Note) context.Context { return context.WithValue(ctx, noteKey{}, n) }

// From gives the note of a context, or nil.
func From(ctx context.Context) *Note {
	n, _ := ctx.Value(noteKey{}).(*Note)
	return n
}

// Program notes that a program was started in an owner's sandbox. Of several in one
// request the first is kept.
func (n *Note) Program(owner, sandbox string, argv []string) {
	if b, err := json.Marshal(argv); err == nil { // words always marshal
		n.ran(owner, sandbox, b)
	}
}

// Made notes the sandbox that a request made, the first of several.
func (n *Note) Made(owner, sandbox string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.target == "" {
		n.owner, n.target = owner, sandbox
	}
}

// Code is Program for a cell of code.
func (n *Note) Code(owner, sandbox, code string) { n.ran(owner, sandbox, []byte(code)) }

func (n *Note) ran(owner, sandbox string, what []byte) {
	if n == nil {
		return
	}
	sum := sha256.Sum256(what)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.argv == "" {
		n.owner, n.target, n.argv = owner, sandbox, hex.EncodeToString(sum[:])
	}
}

// Outcome notes a program's verdict.
func (n *Note) Outcome(verdict string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outcome = verdict
}

// Fill puts what was noted into e.
func (n *Note) Fill(e *Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e.ArgvSHA256 = n.argv
	if e.Owner == "" {
		e.Owner = n.owner
	}
	if e.Target == "" {
		e.Target = n.target
	}
	if n.outcome != "" {
		e.Outcome = n.outcome
	}
}

// Empty tells whether nothing was noted.
func (n *Note) Empty() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.argv == ""
}
