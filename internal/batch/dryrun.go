package batch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
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
	Done        int64        `json:"done"`     // and those that would, but have a result in Out
	Rejected    int64        `json:"rejected"`
	Concurrency int          `json:"concurrency"`
	// MemoryBytes is what the sandboxes may hold together at one time.
	MemoryBytes int64 `json:"memory_bytes"`
	// LeastSeconds is the time if programs took none, MostSeconds if every one
	// ran into its timeout in every attempt.
	LeastSeconds float64 `json:"least_seconds"`
	MostSeconds  float64 `json:"most_seconds"`
}

// DryRun checks and counts the input, and estimates. It runs no item and writes
// nothing, but for a temporary copy of the input when that is a stream. With a
// Host it also finds out whether that can make the sandboxes, as Run does. Out may
// be "".
func DryRun(ctx context.Context, o Options) (Estimate, error) {
	out := o.Out
	if out == "" {
		o.Out = "." // it is not used
	}
	o, err := o.withDefaults()
	if err != nil {
		return Estimate{}, err
	}
	if o.Host != nil {
		if err := (&run{o: o}).preflight(ctx); err != nil {
			return Estimate{}, err
		}
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
	var done int64
	if out != "" {
		if done, err = p.passOver(out, o.RetryFailed); err != nil {
			return Estimate{}, err
		}
	}
	e := Estimate{
		Input: o.Input, Format: p.format, Items: p.items, Selected: p.selected, Done: done, Rejected: p.rejected,
		Concurrency: o.Concurrency, MemoryBytes: o.Limits.MemoryBytes * min(int64(o.Concurrency), p.selected),
	}
	atATime := float64(max(1, min(int64(o.Concurrency), p.selected)))
	e.LeastSeconds = float64(p.selected) * itemOverhead.Seconds() / min(atATime, float64(runtime.NumCPU()))
	e.MostSeconds = float64(p.selected*int64(o.Attempts)) * (o.Limits.Timeout + itemOverhead).Seconds() / atATime
	return e, nil
}

// passOver takes out of the plan what has a result in dir, which need not exist.
func (p *plan) passOver(dir outdir.Dir, retryFailed bool) (n int64, err error) {
	err = dir.EachResult(func(line []byte) bool {
		var r struct {
			CustomID string `json:"custom_id"`
			OK       bool   `json:"ok"`
		}
		if json.Unmarshal(line, &r) != nil {
			return true // a run mends it
		}
		k := keyOf(r.CustomID)
		if f := p.index[k]; f&selected != 0 && f&done == 0 && (r.OK || !retryFailed) {
			p.index.set(k, done)
			n++
		}
		return true
	})
	p.selected -= n
	return n, err
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
