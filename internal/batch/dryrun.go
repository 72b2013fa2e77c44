package batch

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/progress"
)

// itemOverhead is what an item costs beside its program, for estimates: a warm
// sandbox from nothing to destroyed, and its two journal writes.
const itemOverhead = 70 * time.Millisecond

// Estimate is what a run would be.
type Estimate struct {
	Input       string       `json:"input"`
	Format      input.Format `json:"format"`
	Items       int64        `json:"items"`    // good records
	Selected    int64        `json:"selected"` // of them, those that would run
	Rejected    int64        `json:"rejected"`
	Concurrency int          `json:"concurrency"`
	// MemoryBytes is what the sandboxes may hold together at one time.
	MemoryBytes int64 `json:"memory_bytes"`
	// LeastSeconds is the time if programs took none, MostSeconds if every one
	// ran into its timeout in every attempt.
	LeastSeconds float64 `json:"least_seconds"`
	MostSeconds  float64 `json:"most_seconds"`
}

// DryRun checks and counts the input, and estimates. It runs nothing and writes
// nothing, but for a temporary copy of the input when that is a stream.
func DryRun(ctx context.Context, o Options) (Estimate, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Estimate{}, err
	}
	path := o.Input
	if path == "-" {
		f, err := copyToTemp(o.Stdin)
		if err != nil {
			return Estimate{}, err
		}
		defer os.Remove(f)
		path = f
	}
	shown := 0
	p, err := makePlan(ctx, path, o, func(bad *input.Rejected) error {
		if shown++; shown <= shownRejects {
			o.UI.Notice("rejected: " + progress.Printable(bad.Error(), 300))
		}
		return nil
	})
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{
		Input: o.Input, Format: p.format, Items: p.items, Selected: p.selected, Rejected: p.rejected,
		Concurrency: o.Concurrency, MemoryBytes: o.Limits.MemoryBytes * min(int64(o.Concurrency), p.selected),
	}
	atATime := float64(max(1, min(int64(o.Concurrency), p.selected)))
	e.LeastSeconds = float64(p.selected) * itemOverhead.Seconds() / min(atATime, float64(runtime.NumCPU()))
	e.MostSeconds = float64(p.selected*int64(o.Attempts)) * (o.Limits.Timeout + itemOverhead).Seconds() / atATime
	return e, nil
}

func copyToTemp(r io.Reader) (string, error) {
	f, err := os.CreateTemp("", "brig-input-*")
	if err == nil {
		_, err = io.Copy(f, r)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return "", api.Errorf(api.CodeInternal, "cannot keep standard input: because %w", err).WithFix("give the input as a file")
	}
	return f.Name(), nil
}
