package cli

import (
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/progress"
)

// summary is a batch's end as a run here would tell of it.
func (r *remoteRun) summary(b api.Batch) progress.Summary {
	s := summaryOf(b)
	s.Input, s.Output, s.Format = r.now.Input.Path, string(r.out), string(r.opts.Format)
	return s
}

func summaryOf(b api.Batch) progress.Summary {
	at := progressOf(b)
	s := progress.Summary{
		State: at.State, Items: at.Total, Total: at.Total, Done: at.Done, OK: at.OK, Failed: at.Failed, Rejected: at.Rejected,
		Verdicts: at.Verdicts, Rate: at.Rate, Ran: at.Done, WallMS: at.Updated.Sub(at.Started).Milliseconds(), Clusters: []progress.Cluster{},
		Concurrency: b.Progress.Concurrency,
	}
	for _, f := range b.Progress.Failures {
		s.Clusters = append(s.Clusters, progress.Cluster(f))
	}
	if s.State == progress.Stopped {
		s.Reason, s.Fix = "the batch is "+b.Status, "run the same command again to go on"
		if b.Errors != nil && len(b.Errors.Data) > 0 {
			s.Reason = b.Errors.Data[0].Message
		}
	}
	return s
}

// progressOf is how far a batch is, in the words of a run here.
func progressOf(b api.Batch) progress.Snapshot {
	s := progress.Snapshot{
		State: progress.Running, Started: time.Unix(b.InProgressAt, 0), Updated: time.Now(), Total: b.RequestCounts.Total,
		OK: b.RequestCounts.Completed, Failed: b.RequestCounts.Failed, Done: b.RequestCounts.Completed + b.RequestCounts.Failed,
		InFlight: b.Progress.InFlight, Rejected: b.Progress.Rejected, Verdicts: b.Progress.Verdicts, Rate: b.Progress.ItemsPerSecond, ETASeconds: b.Progress.ETASeconds,
	}
	switch {
	case b.Status == api.BatchValidating:
		s.State, s.Started = progress.Reading, time.Unix(b.CreatedAt, 0)
	case b.Status == api.BatchCompleted:
		s.State, s.Updated = progress.Finished, time.Unix(b.CompletedAt, 0)
	case b.Final():
		s.State, s.Updated = progress.Stopped, time.Unix(max(b.FailedAt, b.CancelledAt, b.ExpiredAt), 0)
	}
	if b.InProgressAt == 0 && s.State != progress.Reading {
		s.Started = s.Updated // it never ran
	}
	return s
}

// itemOf is an item at a server as one here is told of.
func itemOf(it api.BatchItem) batch.ItemReport {
	r := batch.ItemReport{CustomID: it.CustomID, Result: it.Result, Language: it.Language, Code: it.Code, NoCode: it.NoCode}
	if it.Rejected != "" {
		r.Rejected = &input.Rejected{Line: it.Line, CustomID: it.CustomID, Reason: it.Rejected}
	}
	return r
}
