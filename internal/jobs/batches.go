package jobs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
)

// Create begins a batch over owner's file: it runs when its turn has come. Errors:
// CodeInvalid, CodeNotFound (file, template), CodeExhausted when owner keeps too
// many.
func (s *Service) Create(ctx context.Context, owner string, req api.BatchRequest) (api.Batch, error) {
	if req.InputFileID == "" {
		return api.Batch{}, api.Errorf(api.CodeInvalid, "cannot begin the batch: because input_file_id is missing").
			WithFix("upload the items with POST /v1/files, and give the id of that file")
	}
	window, err := windowOf(req.CompletionWindow)
	if err != nil {
		return api.Batch{}, err
	}
	if err := checkMetadata(req.Metadata); err != nil {
		return api.Batch{}, err
	}
	if req.Template, _, err = s.cfg.Template(ctx, owner, req.Template); err != nil {
		return api.Batch{}, err
	}
	now := time.Now()
	b := api.Batch{
		ID: durable.NewID(batchPrefix), Object: "batch", Status: api.BatchValidating, InputFileID: req.InputFileID,
		Endpoint: req.Endpoint, CompletionWindow: windowText(req.CompletionWindow), Metadata: req.Metadata,
		CreatedAt: now.Unix(), ExpiresAt: now.Add(window).Unix(), Request: req,
		Progress: api.BatchProgress{Verdicts: map[api.Verdict]int64{}},
	}
	if b.Metadata == nil {
		b.Metadata = map[string]string{}
	}
	r := record{Owner: owner, Batch: b}
	if _, err := r.options("/"); err != nil {
		return api.Batch{}, err
	}
	if err := s.roomForBatch(owner); err != nil {
		return api.Batch{}, err
	}
	dir, err := s.prepare(r)
	if err != nil {
		return api.Batch{}, err
	}
	j, err := s.take(dir, r)
	if err != nil {
		return api.Batch{}, err
	}
	s.start(j)
	return j.describe(), nil
}

// roomForBatch bounds what a tenant keeps.
func (s *Service) roomForBatch(owner string) error {
	var bytes int64
	ids := durable.IDs(s.tenantDir(owner, "batches"), batchPrefix)
	for _, id := range ids {
		if r, err := s.find(owner, id); err == nil { // else it was removed just now
			bytes += r.Bytes
		}
	}
	if len(ids) >= s.cfg.MaxBatches || bytes >= s.cfg.MaxResultsBytes {
		return api.Errorf(api.CodeExhausted, "cannot create a batch: because there are %d already, with %s of results", len(ids), api.FormatBytes(bytes)).
			WithFix("delete some with DELETE /v1/batches/ID")
	}
	return nil
}

// prepare makes a batch's directory, in one step.
func (s *Service) prepare(r record) (dir string, err error) {
	_, upload, err := s.OpenFile(r.Owner, r.Batch.InputFileID)
	if err != nil {
		return "", err
	}
	defer upload.Close()
	parent := s.tenantDir(r.Owner, "batches")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", durable.DiskError("create a batch", err)
	}
	tmp, err := os.MkdirTemp(parent, ".new-*")
	if err != nil {
		return "", durable.DiskError("create a batch", err)
	}
	dir = filepath.Join(parent, r.Batch.ID)
	err = os.Link(upload.Name(), filepath.Join(tmp, inputName)) // uploads never change
	if err == nil {
		err = durable.WriteJSON(filepath.Join(tmp, recordName), r)
	}
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err == nil {
		err = durable.SyncDir(parent)
	}
	if err != nil {
		return "", durable.DiskError("create a batch", errors.Join(err, os.RemoveAll(tmp)))
	}
	return dir, nil
}

// Cancel ends a batch that runs or waits; results that it has stay. CodeNotFound;
// CodeConflict when it has ended, or another server runs it.
func (s *Service) Cancel(owner, id string) (api.Batch, error) {
	if j := s.liveOf(owner, id); j != nil {
		return j.cancelled(), nil
	}
	r, err := s.find(owner, id)
	if err != nil {
		return api.Batch{}, err
	}
	if r.Batch.Final() {
		return r.Batch, api.Errorf(api.CodeConflict, "cannot cancel the batch: because it is %s already", r.Batch.Status)
	}
	return r.Batch, elsewhere()
}

func elsewhere() error {
	return api.Errorf(api.CodeConflict, "cannot change the batch: because another server runs it").WithFix("ask that server")
}

// Retry runs what failed, and what has no result, again. CodeNotFound; CodeConflict
// while the batch runs.
func (s *Service) Retry(owner, id string, req api.BatchRetry) (api.Batch, error) {
	s.settle(owner, id)
	r, err := s.find(owner, id)
	if err != nil {
		return api.Batch{}, err
	}
	if !r.Batch.Final() {
		return api.Batch{}, api.Errorf(api.CodeConflict, "cannot retry the batch: because it is %s", r.Batch.Status).WithFix("wait until it has ended, or cancel it")
	}
	limits := over(r.Batch.Request.BatchLimits, req.BatchLimits)
	if req.MissingOnly && limits != r.Batch.Request.BatchLimits {
		return api.Batch{}, api.Errorf(api.CodeInvalid, "cannot change the limits of a batch whose failed items stay").WithFix("leave out missing_only, or the limits")
	}
	window, err := windowOf(req.CompletionWindow)
	if err != nil {
		return api.Batch{}, err
	}
	r.Retry = &req
	r.Batch.Request.BatchLimits = limits
	if _, err := r.options("/"); err != nil {
		return api.Batch{}, err
	}
	b := &r.Batch
	b.Status, b.Errors, b.CompletionWindow, b.ExpiresAt = api.BatchValidating, nil, windowText(req.CompletionWindow), time.Now().Add(window).Unix()
	b.InProgressAt, b.CancellingAt, b.CompletedAt, b.FailedAt, b.ExpiredAt, b.CancelledAt = 0, 0, 0, 0, 0, 0
	j, err := s.take(s.batchDir(owner, id), r)
	if err != nil {
		return api.Batch{}, err
	}
	if err := j.write(); err != nil {
		s.drop(j)
		return api.Batch{}, durable.DiskError("retry the batch", err)
	}
	s.start(j)
	return j.describe(), nil
}

// Remove forgets a batch that has ended, with its results. CodeNotFound;
// CodeConflict while it runs.
func (s *Service) Remove(owner, id string) error {
	s.settle(owner, id)
	r, err := s.find(owner, id)
	if err != nil {
		return err
	}
	if !r.Batch.Final() {
		return api.Errorf(api.CodeConflict, "cannot delete the batch: because it is %s", r.Batch.Status).WithFix("cancel it first")
	}
	dir := s.batchDir(owner, id)
	unlock, ok, err := durable.TryLock(filepath.Join(dir, "lock"))
	if err != nil || !ok {
		return elsewhere()
	}
	defer unlock()
	gone := filepath.Join(filepath.Dir(dir), ".new-"+strings.TrimPrefix(id, batchPrefix))
	if err := os.Rename(dir, gone); err != nil { // in one step: half a batch is none
		return durable.DiskError("delete the batch", err)
	}
	if err := os.RemoveAll(gone); err != nil {
		return durable.DiskError("delete the batch", err)
	}
	return nil
}
