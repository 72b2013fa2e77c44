package outdir

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/brigdev/brig/api"
)

// ReadProgress reads how far the latest run is, or was when it ended.
func (d Dir) ReadProgress(v any) error { return d.readJSON(d.progress(), v) }

// WriteProgress says how far a run is.
func (d Dir) WriteProgress(v any) error { return d.writeJSON(d.progress(), v, false) }

// WriteSummary says how a run ended.
func (d Dir) WriteSummary(v any) error { return d.writeJSON(d.Summary(), v, true) }

// ReadSummary reads how the latest run ended; CodeNotFound when none has.
func (d Dir) ReadSummary(v any) error { return d.readJSON(d.Summary(), v) }

// FindResult reads one item's line. While a run retries failed items there may
// be two for a moment; the later one counts. CodeNotFound when there is none.
func (d Dir) FindResult(customID string) (api.ItemResult, error) {
	var found api.ItemResult
	ok := false
	key, err := json.Marshal(customID)
	if err != nil {
		return found, err
	}
	// Every line begins with its id, so that only the right one is decoded.
	prefix := append([]byte(`{"custom_id":`), key...)
	plain := bytes.HasPrefix(key, []byte(`"`)) && !bytes.ContainsRune(key, '\\')
	err = eachLine(d.Results(), func(line []byte, whole bool) bool {
		if plain && !bytes.HasPrefix(line, prefix) || !whole {
			return true
		}
		var r api.ItemResult
		if json.Unmarshal(line, &r) == nil && r.CustomID == customID {
			found, ok = r, true
		}
		return true
	})
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return found, d.readError(err)
	case !ok:
		return found, api.Errorf(api.CodeNotFound, "cannot show %.80q: because %s has no result of it", customID, d).
			WithFix("see how far the batch is: brig batch status %s", d)
	}
	return found, nil
}

// SpoolInput keeps a copy of a stream as the batch's input, and gives its path.
// One that is there already is taken instead, and the stream is not read.
func (d Dir) SpoolInput(r io.Reader) (path string, resumed bool, err error) {
	if _, err := os.Stat(d.Input()); err == nil {
		return d.Input(), true, nil
	}
	partial := d.Input() + ".partial"
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", false, d.writeError(err)
	}
	w := &spool{w: f}
	_, err = io.Copy(w, r)
	if err != nil && w.err == nil {
		return "", false, errors.Join(api.Errorf(api.CodeInternal, "cannot read standard input: because %w", err), f.Close())
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(partial, d.Input())
	}
	return d.Input(), false, d.writeError(err)
}

// spool tells a failed write from a failed read.
type spool struct {
	w   io.Writer
	err error
}

func (s *spool) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.err = err
	return n, err
}
