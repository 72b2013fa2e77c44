package client

import (
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
)

// form sends what fill writes as it is written. wait ends the writing, once the
// request is over, and gives what went wrong with it.
func form(fill func(w *multipart.Writer) error) (body *io.PipeReader, kind string, wait func() error) {
	r, w := io.Pipe()
	m := multipart.NewWriter(w)
	done := make(chan error, 1)
	go func() {
		err := fill(m)
		if err == nil {
			err = m.Close()
		}
		w.CloseWithError(err)
		done <- err
	}()
	return r, m.FormDataContentType(), func() error {
		r.Close()
		return <-done
	}
}

// formFile adds a file; unlike multipart's own way, it says nothing of its type.
func formFile(w *multipart.Writer, field, filename string, r io.Reader) error {
	quote := strings.NewReplacer("\\", "\\\\", `"`, "%22", "\r", "%0D", "\n", "%0A")
	h := textproto.MIMEHeader{"Content-Type": {"application/octet-stream"}}
	h.Set("Content-Disposition", `form-data; name="`+quote.Replace(field)+`"; filename="`+quote.Replace(filename)+`"`)
	part, err := w.CreatePart(h)
	if err == nil {
		_, err = io.Copy(part, r)
	}
	return err
}

// upload sends a form and reads the reply into out.
func (c *Client) upload(ctx context.Context, path, kind string, body io.Reader, wait func() error, out any) error {
	resp, err := c.send(ctx, http.MethodPost, path, nil, body, http.Header{"Content-Type": {kind}})
	wrote := wait()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if wrote != nil {
		return wrote // the server took what there was
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(out); err != nil {
		return broken(ctx, err)
	}
	return nil
}
