package fake

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// snapshotFile is the one file of a snapshot.
const snapshotFile = "box.json"

// state is what a snapshot keeps: a box's memory.
type state struct {
	files    *files
	warm     warmth
	programs []frozen // that the clone starts again
}

// frozen is a program in a snapshot.
type frozen struct {
	PID  int               `json:"pid"`
	Req  guest.ExecRequest `json:"request"`
	Warm bool              `json:"warm,omitempty"`
}

// warmth is the state of the warm interpreter.
type warmth struct {
	Ready bool `json:"ready"` // it waits for a program
	Forks bool `json:"forks"` // it outlives its programs
}

// snapshot is the file's form.
type snapshot struct {
	Version int              `json:"version"`
	Warm    warmth           `json:"warm"`
	Files   map[string]*node `json:"files"`
	// Programs are those that ran, by pid.
	Programs []frozen `json:"programs,omitempty"`
}

// Snapshot implements driver.Snapshotter.
func (b *Box) Snapshot(ctx context.Context, dir string, keepRunning bool) error {
	b.mu.Lock()
	ended, warm := b.ended, b.state.warm
	b.mu.Unlock()
	programs, quiet := b.agent.still()
	if ended || !quiet {
		return api.Errorf(api.CodeConflict, "cannot snapshot box %s: because it is not quiet", b.spec.ID).WithFix("freeze its guest")
	}
	if err := ctx.Err(); err != nil {
		return api.Errorf(api.CodeCancelled, "cannot snapshot box %s: %w", b.spec.ID, err)
	}
	data, err := json.Marshal(snapshot{Version: 1, Warm: warm, Files: b.state.files.copyAll(), Programs: programs})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, snapshotFile), data, 0o600)
	}
	if err != nil {
		return api.Errorf(api.CodeInternal, "cannot snapshot box %s: %w", b.spec.ID, err)
	}
	if !keepRunning {
		b.end(driver.Death{Detail: "the box was turned into a snapshot"})
	}
	return nil
}

// loadState is what a new box begins with.
func loadState(spec driver.BoxSpec) (*state, error) {
	if spec.Snapshot == "" {
		return &state{files: newFiles()}, nil
	}
	data, err := os.ReadFile(filepath.Join(spec.Snapshot, snapshotFile))
	var s snapshot
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return nil, api.Errorf(api.CodeUnavailable, "cannot restore the snapshot %s: %w", spec.Snapshot, err).WithFix("take it again")
	}
	f := newFiles()
	f.load(s.Files)
	return &state{files: f, warm: s.Warm, programs: s.Programs}, nil
}
