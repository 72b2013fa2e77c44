package jobs

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/durable"
)

const (
	recordName = "batch.json"
	inputName  = "input"
	outName    = "out"

	maxWindow      = 7 * 24 * time.Hour
	maxConcurrency = 1024
	maxMetadata    = 16 // entries, as at OpenAI
	maxMetaText    = 4096
)

// record is batch.json. What is told of a batch is in it; how far it is changes all
// the time and is in out/ besides.
type record struct {
	Owner string    `json:"owner"`
	Batch api.Batch `json:"batch"`
	// Retry is set while failed items run again.
	Retry *api.BatchRetry `json:"retry,omitempty"`
	// Bytes is about how much its runs have left so far.
	Bytes int64 `json:"bytes"`
}

func (s *Service) batchDir(owner, id string) string {
	return filepath.Join(s.tenantDir(owner, "batches"), id)
}

// find reads owner's batch. CodeNotFound.
func (s *Service) find(owner, id string) (record, error) {
	var r record
	if !durable.IsID(id, batchPrefix) || durable.ReadJSON(filepath.Join(s.batchDir(owner, id), recordName), &r) != nil || r.Owner != owner {
		return r, api.Errorf(api.CodeNotFound, "cannot find batch %.80q: because there is none", id).WithFix("list them with GET /v1/batches")
	}
	return r, nil
}

// Get describes owner's batch. CodeNotFound.
func (s *Service) Get(owner, id string) (api.Batch, error) {
	if j := s.liveOf(owner, id); j != nil {
		return j.describe(), nil
	}
	r, err := s.find(owner, id)
	if err != nil {
		return api.Batch{}, err
	}
	var at progress.Snapshot
	if !r.Batch.Final() && outdir.Dir(filepath.Join(s.batchDir(owner, id), outName)).ReadProgress(&at) == nil {
		show(&r.Batch, at) // another server runs it
	}
	return r.Batch, nil
}

// List describes owner's batches, the newest first.
func (s *Service) List(owner string) ([]api.Batch, error) {
	list := []api.Batch{}
	for _, id := range durable.IDs(s.tenantDir(owner, "batches"), batchPrefix) {
		if b, err := s.Get(owner, id); err == nil { // else it was removed just now
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b api.Batch) int { return newestFirst(a.CreatedAt, b.CreatedAt, a.ID, b.ID) })
	return list, nil
}

// windowOf reads a completion window.
func windowOf(s string) (time.Duration, error) {
	if s == "" {
		return maxWindow, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > maxWindow {
		return 0, api.Errorf(api.CodeInvalid, "cannot use the completion_window %.40q: because it is no time of at most %s", s, maxWindow).
			WithFix("write it like 24h or 30m, or leave it out")
	}
	return d, nil
}

// windowText is what a batch says its window is.
func windowText(s string) string {
	if s == "" {
		return "168h" // maxWindow
	}
	return s
}

func checkMetadata(m map[string]string) error {
	size := 0
	for k, v := range m {
		size += len(k) + len(v)
	}
	if len(m) > maxMetadata || size > maxMetaText {
		return api.Errorf(api.CodeInvalid, "cannot keep the metadata: because it is more than %d entries or %d bytes", maxMetadata, maxMetaText).
			WithFix("keep large values in the items")
	}
	return nil
}

// limits are those of an item's program.
func limitsOf(l api.BatchLimits) api.Limits {
	r := l.Limits
	return api.Limits{
		MemoryBytes: r.MemoryBytes, CPUs: r.CPUs, PIDs: r.PIDs, DiskBytes: r.DiskBytes, OpenFiles: r.OpenFiles, OutputBytes: l.OutputBytes,
		Timeout: time.Duration(l.TimeoutSeconds * float64(time.Second)), CPUTime: time.Duration(l.CPUSeconds * float64(time.Second)),
	}.WithDefaults()
}

// over is l with what of more is set.
func over(l, more api.BatchLimits) api.BatchLimits {
	set(&l.TimeoutSeconds, more.TimeoutSeconds)
	set(&l.CPUSeconds, more.CPUSeconds)
	set(&l.OutputBytes, more.OutputBytes)
	set(&l.Limits.MemoryBytes, more.Limits.MemoryBytes)
	set(&l.Limits.CPUs, more.Limits.CPUs)
	set(&l.Limits.PIDs, more.Limits.PIDs)
	set(&l.Limits.DiskBytes, more.Limits.DiskBytes)
	set(&l.Limits.OpenFiles, more.Limits.OpenFiles)
	return l
}

func set[T comparable](v *T, more T) {
	var zero T
	if more != zero {
		*v = more
	}
}

// options are what batch.Run gets, but for what it works with.
func (r record) options(dir string) (batch.Options, error) {
	q := r.Batch.Request
	o := batch.Options{
		Input: filepath.Join(dir, inputName), Out: outdir.Dir(filepath.Join(dir, outName)),
		Template: q.Template, Isolation: q.Isolation, Floor: q.Floor, Limits: limitsOf(q.BatchLimits),
		Concurrency: min(q.Concurrency, maxConcurrency), Attempts: q.Attempts, Result: batch.ResultMode(q.Result), Artifacts: q.Artifacts,
		Only: q.Only, Limit: q.Limit, Sample: q.Sample, Seed: q.Seed, MaxFailures: q.MaxFailures,
	}
	if r.Retry != nil {
		o.RetryFailed = !r.Retry.MissingOnly
		if len(r.Retry.Only) > 0 {
			o.Only = r.Retry.Only
		}
	}
	var err error
	if o.Per, err = batch.ParseGranularity(q.Per); err != nil {
		return o, err
	}
	if o.Format, err = input.ParseFormat(q.Format); err != nil {
		return o, err
	}
	if o.Format == input.Dir {
		return o, api.Errorf(api.CodeInvalid, "cannot read a directory: because what was uploaded is a file").WithFix("upload JSONL")
	}
	return o, o.Check()
}

// clean takes this host's paths out of a text for callers.
func clean(text, dir string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, dir+string(filepath.Separator), ""), dir, "the batch")
}
