package e2b

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/brigdev/brig/internal/control"
)

// notes are what E2B's API knows of a sandbox and ours does not. One that has none
// was never used by E2B's clients: its envd and its ports are closed to them.
type notes struct {
	Template string `json:"template,omitempty"` // as its caller named it
	// EnvdToken admits to envd and to running code, TrafficToken to contexts, and to
	// ports of a private sandbox.
	EnvdToken    string `json:"envd_token"`
	TrafficToken string `json:"traffic_token"`
	Open         bool   `json:"open,omitempty"`    // envd needs no token: secure was false
	Private      bool   `json:"private,omitempty"` // ports need the traffic token
	// Timeout is the TTL that traffic gives a sandbox when it wakes it, in seconds.
	Timeout    float64  `json:"timeout,omitempty"`
	AutoPause  bool     `json:"auto_pause,omitempty"`
	AutoResume bool     `json:"auto_resume,omitempty"` // traffic wakes it
	Network    *network `json:"network,omitempty"`     // as its caller wished it
	// Internet is allow_internet_access as it came; nil: it did not.
	Internet *bool `json:"internet,omitempty"`
}

// newNotes has fresh tokens. Ports are as private as our API has them, until a maker
// says otherwise.
func newNotes() notes {
	return notes{EnvdToken: newToken(), TrafficToken: newToken(), Private: true}
}

// newToken is 130 random bits.
func newToken() string { return strings.ToLower(rand.Text()) }

// notesOf gives a sandbox's notes; ok is false when it has none.
func notesOf(sb *control.Sandbox) (n notes, ok bool) {
	raw := sb.Notes()
	return n, len(raw) > 0 && json.Unmarshal(raw, &n) == nil
}

// adopt gives a sandbox notes if it has none, and lets edit change them.
func adopt(sb *control.Sandbox, edit func(*notes)) (notes, error) {
	n := notes{}
	err := sb.EditNotes(func(old json.RawMessage) (json.RawMessage, error) {
		if len(old) == 0 {
			n = newNotes()
		} else if err := json.Unmarshal(old, &n); err != nil {
			return nil, fmt.Errorf("cannot read the notes of sandbox %s: %w", sb.ID(), err)
		}
		if edit != nil {
			edit(&n)
		}
		return json.Marshal(n)
	})
	return n, err
}
