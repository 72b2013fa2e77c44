package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/brigdev/brig/api"
)

// liveResults are those that came while the batch runs, for who looks at the
// directory meanwhile.
type liveResults struct {
	r    *remoteRun
	file *os.File
	at   int64
	rest []byte
}

func newLiveResults(r *remoteRun) (*liveResults, error) {
	f, err := os.Create(r.out.Results())
	if err != nil {
		return nil, cannotWrite(r.out.Results(), err)
	}
	return &liveResults{r: r, file: f}, nil
}

// more takes what has come. What goes wrong here does not matter: all results are
// fetched at the end.
func (l *liveResults) more(ctx context.Context) {
	if err := l.r.c.Batches.Results(ctx, l.r.now.Batch, l.at, false, l); api.CodeOf(err) == api.CodeInvalid && err != nil {
		l.at, l.rest = 0, nil // the file is another one
		_ = l.file.Truncate(0)
		_, _ = l.file.Seek(0, io.SeekStart)
	}
}

// Write implements io.Writer: it is given lines, in pieces.
func (l *liveResults) Write(p []byte) (int, error) {
	l.at += int64(len(p))
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			break
		}
		var res api.ItemResult
		if json.Unmarshal(l.rest[:i], &res) == nil {
			l.r.opts.UI.Item(res)
		}
		l.rest = l.rest[i+1:]
	}
	return l.file.Write(p)
}

// fetch brings what the batch left into the output directory.
func (r *remoteRun) fetch(ctx context.Context, b api.Batch) error {
	if err := r.fetchFile(r.out.Results(), func(w io.Writer) error { return r.c.Batches.Results(ctx, b.ID, 0, false, w) }); err != nil {
		return err
	}
	err := r.fetchFile(r.out.Rejected(), func(w io.Writer) error {
		if b.ErrorFileID == "" {
			return nil
		}
		return r.c.Files.Content(ctx, b.ErrorFileID, w)
	})
	if err != nil || len(r.opts.Artifacts) == 0 {
		return err
	}
	return r.fetchArtifacts(ctx)
}

// fetchFile replaces a file in one step.
func (r *remoteRun) fetchFile(name string, get func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Join(string(r.out), ".brig"), "fetched-*")
	if err != nil {
		return cannotWrite(name, err)
	}
	defer os.Remove(f.Name()) // fails when it has its name
	if err := get(f); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close(), os.Rename(f.Name(), name)); err != nil {
		return cannotWrite(name, err)
	}
	return nil
}

// fetchArtifacts copies the artifacts that the results name.
func (r *remoteRun) fetchArtifacts(ctx context.Context) error {
	f, err := os.Open(r.out.Results())
	if err != nil {
		return cannotRead("the results", err)
	}
	defer f.Close()
	dec := json.NewDecoder(f)
	for {
		var res api.ItemResult
		if err := dec.Decode(&res); err == io.EOF {
			return nil
		} else if err != nil {
			return api.Errorf(api.CodeInternal, "cannot read the results: because %w", err).WithFix("run the same command again: they are fetched anew")
		}
		if len(res.Artifacts) == 0 {
			continue
		}
		if err := r.fetchArtifactsOf(ctx, res); err != nil {
			return err
		}
	}
}

func (r *remoteRun) fetchArtifactsOf(ctx context.Context, res api.ItemResult) error {
	folder, err := r.out.OpenArtifacts(res.CustomID)
	if err != nil {
		return err
	}
	defer folder.Close()
	for _, a := range res.Artifacts {
		if !filepath.IsLocal(a.Path) {
			continue // no server of ours says that
		}
		f, err := folder.Create(a.Path)
		if err != nil {
			return err
		}
		if err := r.c.Batches.Artifact(ctx, r.now.Batch, res.CustomID, a.Path, f); err != nil {
			return errors.Join(err, f.Discard())
		}
		if _, err := f.Commit(); err != nil {
			return err
		}
	}
	return nil
}
