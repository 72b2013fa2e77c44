package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/jobs"
)

// batchRoutes are the files and batches of tenants, in the nouns of OpenAI's Batch
// API. What they name has to be the caller's own: jobs decides that.
func batchRoutes() []route {
	return []route{
		{"POST /v1/files", accessUser, withJobs(uploadFile)},
		{"GET /v1/files", accessUser, withJobs(listUploads)},
		{"GET /v1/files/{file}", accessUser, withJobs(getUpload)},
		{"DELETE /v1/files/{file}", accessUser, withJobs(deleteUpload)},
		{"GET /v1/files/{file}/content", accessUser, withJobs(getUploadContent)},

		{"POST /v1/batches", accessUser, withJobs(createBatch)},
		{"GET /v1/batches", accessUser, withJobs(listBatches)},
		{"GET /v1/batches/{batch}", accessUser, withJobs(getBatch)},
		{"DELETE /v1/batches/{batch}", accessUser, withJobs(deleteBatch)},
		{"POST /v1/batches/{batch}/cancel", accessUser, withJobs(cancelBatch)},
		{"POST /v1/batches/{batch}/retry", accessUser, withJobs(retryBatch)},
		{"GET /v1/batches/{batch}/results", accessUser, withJobs(batchResults)},
		{"GET /v1/batches/{batch}/item", accessUser, withJobs(batchItem)},
		{"GET /v1/batches/{batch}/artifact", accessUser, withJobs(batchArtifact)},
	}
}

// withJobs serves a route where there are batches.
func withJobs(f func(j *jobs.Service, w http.ResponseWriter, r *request) error) handler {
	return func(s *Server, w http.ResponseWriter, r *request) error {
		if s.cfg.Jobs == nil {
			return notPart("a batch")
		}
		return f(s.cfg.Jobs, w, r)
	}
}

// maxUpload bounds the body of an upload; jobs bounds the file in it.
const maxUpload = 1 << 30

// uploadFile takes a form with a file, as published clients send it, or a body that
// is the file.
func uploadFile(j *jobs.Service, w http.ResponseWriter, r *request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		f, err := j.Upload(r.owner, r.URL.Query().Get("filename"), r.Body)
		return answerOr(w, f, err)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return badForm(err)
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return api.Errorf(api.CodeInvalid, "cannot keep a file: because the form has no field 'file'").WithFix("curl -F purpose=batch -F file=@items.jsonl …/v1/files")
		}
		if err != nil {
			return badForm(err)
		}
		if part.FormName() == "file" {
			f, err := j.Upload(r.owner, path.Base("/"+part.FileName()), part)
			return answerOr(w, f, err)
		}
	}
}

func badForm(err error) error {
	return api.Errorf(api.CodeInvalid, "cannot read the form: because it is no multipart/form-data, or broke off: %w", err).
		WithFix("send it with curl -F, or an SDK")
}

// answerOr sends v unless there is an error.
func answerOr(w http.ResponseWriter, v any, err error) error {
	if err == nil {
		writeJSON(w, http.StatusOK, v)
	}
	return err
}

func listUploads(j *jobs.Service, w http.ResponseWriter, r *request) error {
	list, err := j.Files(r.owner)
	if err != nil {
		return err
	}
	p, err := pageOf(r, list, func(f api.File) string { return f.ID })
	return answerOr(w, p, err)
}

func getUpload(j *jobs.Service, w http.ResponseWriter, r *request) error {
	f, err := j.File(r.owner, r.PathValue("file"))
	return answerOr(w, f, err)
}

// deleted is the answer to a removal, in OpenAI's words.
type deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

func deleteUpload(j *jobs.Service, w http.ResponseWriter, r *request) error {
	id := r.PathValue("file")
	return answerOr(w, deleted{id, "file", true}, j.RemoveFile(r.owner, id))
}

func getUploadContent(j *jobs.Service, w http.ResponseWriter, r *request) error {
	f, content, err := j.OpenFile(r.owner, r.PathValue("file"))
	if err != nil {
		return err
	}
	defer content.Close()
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Filename}))
	return sendFile(w, r, content)
}

func createBatch(j *jobs.Service, w http.ResponseWriter, r *request) error {
	var body struct {
		api.BatchRequest
		Metadata metadata `json:"metadata"` // numbers and booleans, too
	}
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	req := body.BatchRequest
	req.Metadata = body.Metadata
	b, err := j.Create(r.Context(), r.owner, req)
	return answerOr(w, b, err)
}

func listBatches(j *jobs.Service, w http.ResponseWriter, r *request) error {
	list, err := j.List(r.owner)
	if err != nil {
		return err
	}
	p, err := pageOf(r, list, func(b api.Batch) string { return b.ID })
	return answerOr(w, p, err)
}

func getBatch(j *jobs.Service, w http.ResponseWriter, r *request) error {
	b, err := j.Get(r.owner, r.PathValue("batch"))
	return answerOr(w, b, err)
}

func deleteBatch(j *jobs.Service, w http.ResponseWriter, r *request) error {
	id := r.PathValue("batch")
	return answerOr(w, deleted{id, "batch", true}, j.Remove(r.owner, id))
}

func cancelBatch(j *jobs.Service, w http.ResponseWriter, r *request) error {
	b, err := j.Cancel(r.owner, r.PathValue("batch"))
	return answerOr(w, b, err)
}

func retryBatch(j *jobs.Service, w http.ResponseWriter, r *request) error {
	var req api.BatchRetry
	if err := readBody(w, r, maxBody, &req); err != nil {
		return err
	}
	b, err := j.Retry(r.owner, r.PathValue("batch"), req)
	return answerOr(w, b, err)
}

// batchResults streams lines of JSON; with ?follow=1 until the batch has ended. A
// stream that is broken off goes on at ?offset=, in bytes.
func batchResults(j *jobs.Service, w http.ResponseWriter, r *request) error {
	offset, err := queryInt(r, "offset", 0)
	if err != nil {
		return err
	}
	out := &lateWriter{w: w}
	flush := func() error {
		out.begin()
		if err := http.NewResponseController(w).Flush(); err != nil {
			return &begunError{err}
		}
		return nil
	}
	err = j.Results(r.Context(), r.owner, r.PathValue("batch"), offset, queryBool(r, "follow"), out, flush)
	if err != nil && out.begun {
		return &begunError{err}
	}
	return err
}

// lateWriter sends the headers of lines of JSON with the first byte.
type lateWriter struct {
	w     http.ResponseWriter
	begun bool
}

func (l *lateWriter) begin() {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("X-Accel-Buffering", "no")
		l.w.WriteHeader(http.StatusOK)
	}
}

func (l *lateWriter) Write(p []byte) (int, error) {
	l.begin()
	return l.w.Write(p)
}

func batchItem(j *jobs.Service, w http.ResponseWriter, r *request) error {
	it, err := j.Item(r.Context(), r.owner, r.PathValue("batch"), r.URL.Query().Get("custom_id"))
	return answerOr(w, it, err)
}

func batchArtifact(j *jobs.Service, w http.ResponseWriter, r *request) error {
	q := r.URL.Query()
	f, err := j.Artifact(r.owner, r.PathValue("batch"), q.Get("custom_id"), q.Get("path"))
	if err != nil {
		return err
	}
	defer f.Close()
	return sendFile(w, r, f)
}

// sendFile answers with a file, or the part of it that Range names.
func sendFile(w http.ResponseWriter, r *request, f *os.File) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r.Request, "", time.Time{}, f)
	return nil
}

// pageOf cuts a page out of a list: ?limit=, 20 unless said otherwise and at most
// 100, behind ?after=, an id.
func pageOf[T any](r *request, list []T, id func(T) string) (api.Page[T], error) {
	p := api.Page[T]{Object: "list", Data: []T{}}
	limit, err := queryInt(r, "limit", 20)
	if err != nil {
		return p, err
	}
	if limit < 1 || limit > 100 {
		return p, api.Errorf(api.CodeInvalid, "cannot list %d: because the range is 1 to 100", limit).WithFix("leave limit out")
	}
	if after := r.URL.Query().Get("after"); after != "" {
		at := -1
		for i, v := range list {
			if id(v) == after {
				at = i
			}
		}
		if at < 0 {
			return p, api.Errorf(api.CodeInvalid, "cannot list what comes after %.80q: because there is no such id", after).WithFix("begin without after")
		}
		list = list[at+1:]
	}
	p.HasMore = int64(len(list)) > limit
	p.Data = append(p.Data, list[:min(int64(len(list)), limit)]...)
	if n := len(p.Data); n > 0 {
		p.FirstID, p.LastID = id(p.Data[0]), id(p.Data[n-1])
	}
	return p, nil
}
