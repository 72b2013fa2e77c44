package jobs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/durable"
)

// Results writes the results of owner's batch to w, one JSON object a line, from a
// byte offset on; with follow it goes on until the batch has ended. flush is called
// when there is no more for now. Only whole lines are written. When failed items
// run again a line may come twice: the later one counts. CodeNotFound; CodeInvalid
// for an offset beyond the end; else the error of w.
func (s *Service) Results(ctx context.Context, owner, id string, offset int64, follow bool, w io.Writer, flush func() error) error {
	if _, err := s.Get(owner, id); err != nil {
		return err
	}
	t := durable.Tail{Path: outdir.Dir(filepath.Join(s.batchDir(owner, id), outName)).Results(), At: offset}
	defer t.Close()
	for {
		more, living := s.watch(owner, id) // before reading, so that nothing is missed
		if err := t.Copy(w); err != nil {
			return tailError(err, t.At)
		}
		if err := flush(); err != nil || !follow || !living {
			return err
		}
		select {
		case <-ctx.Done():
			return api.Errorf(api.CodeCancelled, "cannot go on with the results: because the caller went away")
		case <-s.ctx.Done():
			return api.Errorf(api.CodeUnavailable, "cannot go on with the results: because the server ends").WithFix("follow them again when it is back")
		case <-more:
		}
	}
}

// tailError says what is wrong with an offset; another error is the reader's.
func tailError(err error, at int64) error {
	if errors.Is(err, durable.ErrBeyond) {
		return api.Errorf(api.CodeInvalid, "cannot read the results from %d: because there are not so many bytes", at).WithFix("begin at 0")
	}
	return err
}

// watch gives a channel that is closed when there may be more of a batch, and
// whether there may ever be.
func (s *Service) watch(owner, id string) (more <-chan struct{}, living bool) {
	j := s.liveOf(owner, id)
	if j == nil {
		return nil, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed, !j.ended
}

// Item is what is known of one item of owner's batch. CodeNotFound.
func (s *Service) Item(ctx context.Context, owner, id, customID string) (api.BatchItem, error) {
	it := api.BatchItem{CustomID: customID}
	if _, err := s.Get(owner, id); err != nil {
		return it, err
	}
	dir := s.batchDir(owner, id)
	r, err := batch.Show(ctx, outdir.Dir(filepath.Join(dir, outName)), customID)
	if err != nil {
		if api.CodeOf(err) == api.CodeNotFound {
			return it, api.Errorf(api.CodeNotFound, "cannot find item %.80q: because the batch has none, or has not read it yet", customID).
				WithFix("give a custom_id as it is in the input")
		}
		return it, err
	}
	it.Result, it.Language, it.Code, it.NoCode = r.Result, r.Language, r.Code, clean(r.NoCode, dir)
	if r.Rejected != nil {
		it.Rejected, it.Line = r.Rejected.Reason, r.Rejected.Line
	}
	return it, nil
}

// Artifact opens a file that an item left, by the path in its result. CodeNotFound.
func (s *Service) Artifact(owner, id, customID, path string) (*os.File, error) {
	if _, err := s.Get(owner, id); err != nil {
		return nil, err
	}
	if customID == "" {
		return nil, noArtifact(customID, path)
	}
	root, err := os.OpenRoot(filepath.Join(s.batchDir(owner, id), outName, "artifacts", outdir.FolderName(customID)))
	if err != nil {
		return nil, noArtifact(customID, path)
	}
	defer root.Close()
	f, err := root.Open(path)
	if err != nil {
		return nil, noArtifact(customID, path)
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, noArtifact(customID, path)
	}
	return f, nil
}

func noArtifact(customID, path string) error {
	return api.Errorf(api.CodeNotFound, "cannot find the artifact %.80q of item %.80q: because there is none", path, customID).
		WithFix("take a path from the item's result")
}
