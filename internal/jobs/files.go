package jobs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
)

// Upload keeps what r has as owner's file. Errors: CodeInvalid when it is too
// large or r fails, CodeExhausted when owner has too much already.
func (s *Service) Upload(owner, filename string, r io.Reader) (api.File, error) {
	dir := s.tenantDir(owner, "files")
	done, err := s.beginUpload(owner)
	if err != nil {
		return api.File{}, err
	}
	defer done()
	if err := s.roomForFile(owner); err != nil {
		return api.File{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return api.File{}, durable.DiskError("keep the file", err)
	}
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return api.File{}, durable.DiskError("keep the file", err)
	}
	defer os.Remove(tmp.Name()) // fails when it has its name
	source := &reader{r: r}
	n, err := io.Copy(tmp, io.LimitReader(source, s.cfg.MaxFileBytes+1))
	if source.err == nil {
		err = errors.Join(err, tmp.Sync())
	}
	err = errors.Join(err, tmp.Close())
	switch {
	case source.err != nil:
		return api.File{}, api.Errorf(api.CodeInvalid, "cannot keep the file: because the upload broke off: %w", source.err).WithFix("send it again")
	case err != nil:
		return api.File{}, durable.DiskError("keep the file", err)
	case n > s.cfg.MaxFileBytes:
		return api.File{}, api.Errorf(api.CodeInvalid, "cannot keep the file: because it is larger than %s", api.FormatBytes(s.cfg.MaxFileBytes)).
			WithFix("split it into several batches")
	}
	f := api.File{ID: durable.NewID(filePrefix), Object: "file", Bytes: n, CreatedAt: unixNow(), Filename: plainName(filename), Purpose: "batch", Status: "processed"}
	if err := os.Rename(tmp.Name(), filepath.Join(dir, f.ID)); err != nil {
		return api.File{}, durable.DiskError("keep the file", err)
	}
	if err := durable.WriteJSON(filepath.Join(dir, f.ID+".json"), f); err != nil { // with it the file exists
		return api.File{}, durable.DiskError("keep the file", err)
	}
	return f, nil
}

// beginUpload bounds how many there are at a time: what they bring is not among
// owner's files yet.
func (s *Service) beginUpload(owner string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[owner] >= s.cfg.MaxUploads {
		return nil, api.Errorf(api.CodeExhausted, "cannot keep the file: because %d others are being sent", s.uploads[owner]).WithFix("send it again when one of them has ended")
	}
	s.uploads[owner]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.uploads[owner]--; s.uploads[owner] == 0 {
			delete(s.uploads, owner)
		}
	}, nil
}

// reader tells a failed upload from a failed disk.
type reader struct {
	r   io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// plainName is what a caller calls a file, which is only ever shown.
func plainName(s string) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == '/' || c == '\\' {
			return '_'
		}
		return c
	}, s)
	if len(s) > 255 {
		s = strings.ToValidUTF8(s[:255], "")
	}
	if s == "" {
		return "input.jsonl"
	}
	return s
}

func (s *Service) roomForFile(owner string) error {
	list, err := s.Files(owner)
	if err != nil {
		return err
	}
	var bytes int64
	for _, f := range list {
		bytes += f.Bytes
	}
	if len(list) >= s.cfg.MaxFiles || bytes >= s.cfg.MaxFilesBytes {
		return api.Errorf(api.CodeExhausted, "cannot keep the file: because there are %d already, %s together", len(list), api.FormatBytes(bytes)).
			WithFix("delete some with DELETE /v1/files/ID: their batches stay")
	}
	return nil
}

// Files lists owner's uploads, the newest first.
func (s *Service) Files(owner string) ([]api.File, error) {
	dir := s.tenantDir(owner, "files")
	list := []api.File{}
	for _, id := range durable.IDs(dir, filePrefix) {
		var f api.File
		if durable.ReadJSON(filepath.Join(dir, id+".json"), &f) == nil { // else it is being made or removed
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b api.File) int { return newestFirst(a.CreatedAt, b.CreatedAt, a.ID, b.ID) })
	return list, nil
}

func newestFirst(a, b int64, aID, bID string) int {
	if a != b {
		return int(b - a)
	}
	return strings.Compare(aID, bID)
}

// File describes owner's upload, or what a batch of owner's left. CodeNotFound.
func (s *Service) File(owner, id string) (api.File, error) {
	f, file, err := s.OpenFile(owner, id)
	if err == nil {
		file.Close()
	}
	return f, err
}

// OpenFile gives a file and its content, which the caller closes. CodeNotFound.
func (s *Service) OpenFile(owner, id string) (api.File, *os.File, error) {
	if f, path, ok := s.outputOf(owner, id); ok {
		content, err := os.Open(path)
		if err != nil {
			return f, nil, noFile(id)
		}
		st, err := content.Stat()
		if err != nil {
			content.Close()
			return f, nil, durable.DiskError("read the file", err)
		}
		f.Bytes = st.Size()
		return f, content, nil
	}
	var f api.File
	dir := s.tenantDir(owner, "files")
	if !durable.IsID(id, filePrefix) || durable.ReadJSON(filepath.Join(dir, id+".json"), &f) != nil {
		return f, nil, noFile(id)
	}
	content, err := os.Open(filepath.Join(dir, id))
	if err != nil {
		return f, nil, noFile(id)
	}
	return f, content, nil
}

// outputOf finds the results, or the rejected records, of a batch by a file's id.
func (s *Service) outputOf(owner, id string) (f api.File, path string, ok bool) {
	for prefix, name := range map[string]string{outputPrefix: "results.jsonl", errorPrefix: "rejected.jsonl"} {
		if !durable.IsID(id, prefix) {
			continue
		}
		b, err := s.Get(owner, batchPrefix+strings.TrimPrefix(id, prefix))
		if err != nil {
			return f, "", false
		}
		f = api.File{ID: id, Object: "file", CreatedAt: b.CreatedAt, Filename: b.ID + "_" + name, Purpose: api.FilePurposeOutput, Status: "processed"}
		return f, filepath.Join(s.batchDir(owner, b.ID), outName, name), true
	}
	return f, "", false
}

// RemoveFile removes an upload; batches over it keep what they need.
// CodeNotFound; CodeConflict for what belongs to a batch.
func (s *Service) RemoveFile(owner, id string) error {
	if _, _, ok := s.outputOf(owner, id); ok {
		return api.Errorf(api.CodeConflict, "cannot delete %s: because it belongs to a batch", id).WithFix("delete the batch: DELETE /v1/batches/ID")
	}
	if _, err := s.File(owner, id); err != nil {
		return err
	}
	dir := s.tenantDir(owner, "files")
	err := os.Remove(filepath.Join(dir, id+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return noFile(id)
	}
	if err = errors.Join(err, os.Remove(filepath.Join(dir, id))); err != nil {
		return durable.DiskError("delete the file", err)
	}
	return nil
}

func noFile(id string) error {
	return api.Errorf(api.CodeNotFound, "cannot find file %.80q: because there is none", id).WithFix("list them with GET /v1/files")
}
