package client

import (
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"

	"github.com/brigdev/brig/api"
)

// Uploads are the caller's files for batches, and what batches left.
type Uploads struct{ c *Client }

// Create keeps what r has. The name is only ever shown.
func (u Uploads) Create(ctx context.Context, filename string, r io.Reader) (api.File, error) {
	var f api.File
	body, kind, wait := form(func(w *multipart.Writer) error {
		if err := w.WriteField("purpose", "batch"); err != nil {
			return err
		}
		return formFile(w, "file", filename, r)
	})
	err := u.c.upload(ctx, "/v1/files", kind, body, wait, &f)
	return f, err
}

// List gives a page of them, the newest first: at most limit (0 means 20) behind
// after, the LastID of the page before.
func (u Uploads) List(ctx context.Context, after string, limit int) (api.Page[api.File], error) {
	var p api.Page[api.File]
	err := u.c.call(ctx, http.MethodGet, "/v1/files", pageQuery(after, limit), nil, &p)
	return p, err
}

// Get describes one. CodeNotFound.
func (u Uploads) Get(ctx context.Context, id string) (api.File, error) {
	var f api.File
	err := u.c.call(ctx, http.MethodGet, "/v1/files/"+url.PathEscape(id), nil, nil, &f)
	return f, err
}

// Content writes its bytes to w.
func (u Uploads) Content(ctx context.Context, id string, w io.Writer) error {
	return u.c.download(ctx, "/v1/files/"+url.PathEscape(id)+"/content", nil, w)
}

// Delete removes an upload; batches over it keep what they need.
func (u Uploads) Delete(ctx context.Context, id string) error {
	return u.c.call(ctx, http.MethodDelete, "/v1/files/"+url.PathEscape(id), nil, nil, nil)
}

// Batches are the caller's batches.
type Batches struct{ c *Client }

// Create begins one over an upload.
func (b Batches) Create(ctx context.Context, req api.BatchRequest) (api.Batch, error) {
	return b.call(ctx, http.MethodPost, "/v1/batches", req)
}

// Get says how far one is. CodeNotFound.
func (b Batches) Get(ctx context.Context, id string) (api.Batch, error) {
	return b.call(ctx, http.MethodGet, batchPath(id, ""), nil)
}

// List gives a page of them, as Uploads.List.
func (b Batches) List(ctx context.Context, after string, limit int) (api.Page[api.Batch], error) {
	var p api.Page[api.Batch]
	err := b.c.call(ctx, http.MethodGet, "/v1/batches", pageQuery(after, limit), nil, &p)
	return p, err
}

// Cancel ends one; results that it has stay. CodeConflict when it has ended.
func (b Batches) Cancel(ctx context.Context, id string) (api.Batch, error) {
	return b.call(ctx, http.MethodPost, batchPath(id, "/cancel"), nil)
}

// Retry runs again what failed, and what has no result. CodeConflict while it runs.
func (b Batches) Retry(ctx context.Context, id string, req api.BatchRetry) (api.Batch, error) {
	return b.call(ctx, http.MethodPost, batchPath(id, "/retry"), req)
}

// Delete forgets one that has ended, with its results.
func (b Batches) Delete(ctx context.Context, id string) error {
	return b.c.call(ctx, http.MethodDelete, batchPath(id, ""), nil, nil, nil)
}

// Results writes the results so far to w, an api.ItemResult a line, from a byte
// offset on; with follow it goes on until the batch has ended. When failed items run
// again a line may come twice: the later one counts.
func (b Batches) Results(ctx context.Context, id string, offset int64, follow bool, w io.Writer) error {
	q := url.Values{"offset": {strconv.FormatInt(offset, 10)}}
	if follow {
		q.Set("follow", "1")
	}
	return b.c.download(ctx, batchPath(id, "/results"), q, w)
}

// Item is what is known of one item. CodeNotFound.
func (b Batches) Item(ctx context.Context, id, customID string) (api.BatchItem, error) {
	var it api.BatchItem
	err := b.c.call(ctx, http.MethodGet, batchPath(id, "/item"), url.Values{"custom_id": {customID}}, nil, &it)
	return it, err
}

// Artifact writes a file that an item left to w; path is as in its result.
func (b Batches) Artifact(ctx context.Context, id, customID, path string, w io.Writer) error {
	return b.c.download(ctx, batchPath(id, "/artifact"), url.Values{"custom_id": {customID}, "path": {path}}, w)
}

func batchPath(id, what string) string { return "/v1/batches/" + url.PathEscape(id) + what }

func (b Batches) call(ctx context.Context, method, path string, in any) (api.Batch, error) {
	var out api.Batch
	err := b.c.call(ctx, method, path, nil, in, &out)
	return out, err
}

func pageQuery(after string, limit int) url.Values {
	q := url.Values{}
	if after != "" {
		q.Set("after", after)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

// download copies a reply's body to w.
func (c *Client) download(ctx context.Context, path string, query url.Values, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, path, query, nil, nil)
	if err != nil {
		return err
	}
	return copyReply(ctx, w, resp.Body)
}
