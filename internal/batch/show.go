package batch

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"syscall"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
)

// StatusReport is how far a batch is, seen from outside.
type StatusReport struct {
	progress.Snapshot
	// Running tells whether a brig works on it now. One that was killed leaves
	// the state "running" behind.
	Running bool              `json:"running"`
	Summary *progress.Summary `json:"summary,omitempty"` // of the latest run that ended
}

// Status reads how far the batch in dir is. It takes no lock, so it works beside
// a run and after it. CodeNotFound when there is no batch.
func Status(dir outdir.Dir) (StatusReport, error) {
	var s StatusReport
	if _, err := dir.ReadMeta(); err != nil {
		return s, err
	}
	if err := dir.ReadProgress(&s.Snapshot); err != nil && api.CodeOf(err) != api.CodeNotFound {
		return s, err
	}
	active := s.State == progress.Reading || s.State == progress.Running
	s.Running = active && alive(s.PID)
	if active {
		return s, nil
	}
	var summary progress.Summary
	switch err := dir.ReadSummary(&summary); {
	case err == nil:
		s.Summary = &summary
	case api.CodeOf(err) != api.CodeNotFound:
		return s, err
	}
	return s, nil
}

func alive(pid int) bool {
	return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// ItemReport is what is known of one item.
type ItemReport struct {
	CustomID string           `json:"custom_id"`
	Result   *api.ItemResult  `json:"result"`             // nil when it has none yet
	Rejected *input.Rejected  `json:"rejected,omitempty"` // set when its record is no item
	Language string           `json:"language,omitempty"`
	Code     string           `json:"code"` // as it is in the input; a repaired one is in its attempt
	Input    *outdir.Identity `json:"input,omitempty"`
	// NoCode says why Code is empty.
	NoCode string `json:"no_code,omitempty"`
}

// Show reads what is known of one item. Its code comes from the input, which is
// searched. CodeNotFound when neither the results nor the input know the item.
func Show(ctx context.Context, dir outdir.Dir, customID string) (ItemReport, error) {
	r := ItemReport{CustomID: customID}
	meta, err := dir.ReadMeta()
	if err != nil {
		return r, err
	}
	r.Input = &meta.Input
	result, resultErr := dir.FindResult(customID)
	switch {
	case resultErr == nil:
		r.Result = &result
	case api.CodeOf(resultErr) != api.CodeNotFound:
		return r, resultErr
	}
	if err := r.findCode(ctx, meta); err != nil {
		r.NoCode = err.Error()
		if r.Result == nil && r.Rejected == nil {
			return r, err
		}
	}
	if r.Result == nil && r.Rejected == nil {
		err = r.findRejected(dir)
	}
	return r, err
}

// findRejected finds out whether a run rejected a good record, because its
// template can't run it.
func (r *ItemReport) findRejected(dir outdir.Dir) error {
	return dir.EachRejected(func(line []byte) (more bool) {
		var bad input.Rejected
		if json.Unmarshal(line, &bad) == nil && bad.CustomID == r.CustomID {
			r.Rejected = &bad
		}
		return r.Rejected == nil
	})
}

// errFound ends a search.
var errFound = errors.New("found")

func (r *ItemReport) findCode(ctx context.Context, meta outdir.Meta) error {
	if _, err := os.Stat(meta.Input.Path); err != nil {
		return api.Errorf(api.CodeNotFound, "cannot show the code: because the input %s is gone", meta.Input.Path).WithFix("put it back where it was")
	}
	format := input.Format(meta.Options["--format"])
	_, err := each(ctx, meta.Input.Path, Options{Format: format}, func(it input.Item, bad *input.Rejected) error {
		switch {
		case bad != nil && bad.CustomID == r.CustomID && r.Rejected == nil:
			r.Rejected = bad
		case bad == nil && it.CustomID == r.CustomID:
			r.Code, r.Language, r.Rejected = it.Code, it.Language, nil
			return errFound
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return nil
	case err != nil:
		return err
	case r.Rejected != nil:
		return errors.New(r.Rejected.Reason)
	}
	return api.Errorf(api.CodeNotFound, "cannot show %.80q: because the input has no such item", r.CustomID).
		WithFix("give a custom_id as it is in %s", meta.Input.Path)
}
