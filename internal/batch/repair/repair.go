// Package repair asks a generator for another version of a program that failed:
// a command now, a language model behind the same interface later. What the
// program printed is data to the generator, clipped and never an instruction to
// us.
package repair

import (
	"context"
	"encoding/json"

	"github.com/brigdev/brig/api"
)

// Request is a program that failed, and how.
type Request struct {
	CustomID string          `json:"custom_id"`
	Language string          `json:"language"`
	Code     string          `json:"code"`
	Verdict  api.Verdict     `json:"verdict"`
	ExitCode *int            `json:"exit_code"`
	Stderr   string          `json:"stderr"` // the end of it
	Attempt  int             `json:"attempt"`
	Input    json.RawMessage `json:"input"` // null when the item has none
}

// Repairer writes another version of a program. It may be called concurrently.
// An error means that there is none, and the failure stands.
type Repairer interface {
	Repair(ctx context.Context, r Request) (code string, err error)
}
