package jobs

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/durable"
)

// job is a batch that this process has in hand, from when it is created or found
// until it has ended.
type job struct {
	s      *Service
	id     string
	owner  string
	dir    string
	unlock func()

	ctx    context.Context
	stop   context.CancelCauseFunc
	remove func() bool // from the queue

	mu      sync.Mutex
	rec     record
	changed chan struct{} // closed when there may be more to read
	ended   bool
	done    chan struct{} // closed when it is out of hand
}

// Why a job's context ends.
var (
	errCancelled = errors.New("the batch was cancelled")
	errExpired   = errors.New("the batch's completion window is over")
	errTooMuch   = errors.New("the batch leaves too much")
)

// take makes this process the one that runs a batch. CodeConflict when another is.
func (s *Service) take(dir string, r record) (*job, error) {
	unlock, ok, err := durable.TryLock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, durable.DiskError("run the batch", err)
	}
	if !ok {
		return nil, elsewhere()
	}
	j := &job{s: s, id: r.Batch.ID, owner: r.Owner, dir: dir, unlock: unlock, rec: r, changed: make(chan struct{}), done: make(chan struct{})}
	j.ctx, j.stop = context.WithCancelCause(s.ctx)
	s.mu.Lock()
	s.live[j.id] = j
	s.mu.Unlock()
	return j, nil
}

// start lets a job run when it is its turn.
func (s *Service) start(j *job) {
	if j.rec.Batch.Status == api.BatchCancelling { // its server died before it could
		j.stop(errCancelled)
	}
	remove := s.queue.Add(j.owner, j.run)
	j.mu.Lock()
	j.remove = remove
	j.mu.Unlock()
}

// liveOf finds a job that this process has in hand.
func (s *Service) liveOf(owner, id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.live[id]; j != nil && j.owner == owner {
		return j
	}
	return nil
}

// drop gives a job out of hand.
func (s *Service) drop(j *job) {
	s.mu.Lock()
	delete(s.live, j.id)
	s.mu.Unlock()
	j.release()
}

// release lets another process have it. It is idempotent.
func (j *job) release() {
	j.stop(nil)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return
	}
	j.ended = true
	j.unlock()
	close(j.changed)
	close(j.done)
}

// settle waits until a batch that is over is out of hand, which takes a moment.
func (s *Service) settle(owner, id string) {
	if j := s.liveOf(owner, id); j != nil && j.describe().Final() {
		<-j.done
	}
}

// run runs the batch to its end, or until something stops it.
func (j *job) run() {
	defer j.s.drop(j)
	j.mu.Lock()
	rec := j.rec
	j.mu.Unlock()
	ctx, cancel := context.WithDeadlineCause(j.ctx, time.Unix(rec.Batch.ExpiresAt, 0), errExpired)
	defer cancel()
	summary, err := progress.Summary{}, ctx.Err()
	if err == nil {
		summary, err = j.runBatch(ctx, rec)
	}
	j.finish(context.Cause(ctx), summary, err)
}

func (j *job) runBatch(ctx context.Context, rec record) (progress.Summary, error) {
	o, err := rec.options(j.dir)
	if err != nil {
		return progress.Summary{}, err
	}
	cfg := j.s.cfg
	if _, o.Languages, err = cfg.Template(ctx, j.owner, o.Template); err != nil {
		return progress.Summary{}, err
	}
	o.Host, o.OpenJournal, o.UI, o.Log = tenantHost{cfg.Host, j.owner, cfg.Hold}, cfg.OpenJournal, jobUI{j}, cfg.Log
	return batch.Run(ctx, o)
}

// jobUI keeps what a run says of itself.
type jobUI struct{ j *job }

var _ progress.UI = jobUI{}

func (u jobUI) Notice(string)          {}
func (u jobUI) End(_ progress.Summary) {}

// Item counts what a result takes on disk.
func (u jobUI) Item(r api.ItemResult) {
	n := int64(len(r.Stdout) + len(r.Stderr) + len(r.StdoutBase64) + len(r.StderrBase64) + len(r.Result))
	for _, a := range r.Artifacts {
		n += a.Bytes
	}
	j := u.j
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.rec.Bytes += n; j.rec.Bytes > j.s.cfg.MaxResultBytes {
		j.stop(errTooMuch)
	}
}

// Progress implements progress.UI.
func (u jobUI) Progress(at progress.Snapshot, _ bool) {
	j := u.j
	j.mu.Lock()
	defer j.mu.Unlock()
	show(&j.rec.Batch, at)
	close(j.changed)
	j.changed = make(chan struct{})
	if at.State == progress.Running && j.rec.Batch.Status == api.BatchValidating {
		j.rec.Batch.Status, j.rec.Batch.InProgressAt = api.BatchInProgress, unixNow()
		j.save()
	}
}

// show puts into a batch how far it is.
func show(b *api.Batch, at progress.Snapshot) {
	b.RequestCounts = api.BatchCounts{Total: at.Total, Completed: at.OK, Failed: at.Failed}
	b.Progress = api.BatchProgress{
		InFlight: at.InFlight, Rejected: at.Rejected, Verdicts: at.Verdicts, ItemsPerSecond: at.Rate, ETASeconds: at.ETASeconds,
	}
	own := b.ID[len(batchPrefix):]
	if at.Total > 0 {
		b.OutputFileID = outputPrefix + own
	}
	if at.Rejected > 0 {
		b.ErrorFileID = errorPrefix + own
	}
}

// finish writes how the batch ended, unless the next server is to go on with it.
func (j *job) finish(cause error, s progress.Summary, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, now := &j.rec.Batch, unixNow()
	if err == nil {
		show(b, snapshotOf(s))
		if b.InProgressAt == 0 && s.Total > 0 {
			b.InProgressAt = now // it was too quick to be seen
		}
		b.Progress.Failures, b.Progress.Concurrency = failuresOf(s), s.Concurrency
	}
	b.Progress.InFlight, b.Progress.ETASeconds = 0, 0
	switch {
	case err == nil && s.State == progress.Finished:
		b.Status, b.CompletedAt = api.BatchCompleted, now
	case errors.Is(cause, errClosing):
		return
	case errors.Is(cause, errCancelled):
		b.Status, b.CancelledAt = api.BatchCancelled, now
	case errors.Is(cause, errExpired):
		b.Status, b.ExpiredAt = api.BatchExpired, now
		j.blame(api.CodeExhausted, "the completion window is over: items without a result were not run", "retry the batch with a longer completion_window")
	case errors.Is(cause, errTooMuch):
		b.Status, b.FailedAt = api.BatchFailed, now
		j.blame(api.CodeExhausted, "the batch leaves more than "+api.FormatBytes(j.s.cfg.MaxResultBytes)+" of results and artifacts", "keep fewer artifacts, or make several batches of it")
	case err != nil:
		b.Status, b.FailedAt = api.BatchFailed, now
		j.s.cfg.Log.Warn("a batch failed", "batch", b.ID, "error", err)
		j.blame(api.CodeOf(err), err.Error(), api.FixOf(err))
	default: // it stopped early, and can be resumed
		b.Status, b.FailedAt = api.BatchFailed, now
		j.blame(api.CodeExhausted, s.Reason, "retry the batch to go on")
	}
	j.save()
}

// blame says what ended the batch. The caller holds mu.
func (j *job) blame(code api.Code, message, fix string) {
	j.rec.Batch.Errors = &api.BatchErrors{Object: "list", Data: []api.BatchError{{Code: code, Message: clean(message, j.dir), Fix: clean(fix, j.dir)}}}
}

// snapshotOf is a run's end in the words of its course.
func snapshotOf(s progress.Summary) progress.Snapshot {
	return progress.Snapshot{State: s.State, Total: s.Total, Done: s.Done, OK: s.OK, Failed: s.Failed, Rejected: s.Rejected, Verdicts: s.Verdicts, Rate: s.Rate}
}

func failuresOf(s progress.Summary) []api.BatchFailure {
	var list []api.BatchFailure
	for _, c := range s.Clusters {
		list = append(list, api.BatchFailure(c))
	}
	return list
}

// save writes the record; a disk that does not take it costs no more than that the
// batch is found unfinished, and goes on, at the next start. The caller holds mu.
func (j *job) save() {
	if err := j.write(); err != nil {
		j.s.cfg.Log.Error("a batch's record could not be written", "batch", j.id, "error", err)
	}
}

func (j *job) write() error {
	return durable.WriteJSON(filepath.Join(j.dir, recordName), j.rec)
}

func (j *job) describe() api.Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.rec.Batch
}

// cancelled asks the job to end and says how it is now.
func (j *job) cancelled() api.Batch {
	j.mu.Lock()
	b := &j.rec.Batch
	if !b.Final() {
		b.Status, b.CancellingAt = api.BatchCancelling, unixNow()
		j.save()
	}
	waits := j.remove
	j.mu.Unlock()
	j.stop(errCancelled)
	if waits != nil && waits() { // its turn never comes: end it here
		j.finish(errCancelled, progress.Summary{}, errCancelled)
		j.s.drop(j)
	}
	return j.describe()
}
