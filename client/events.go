package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"

	"github.com/brigdev/brig/api"
)

// event is one server-sent event: its id, its name and the fields that any of them
// has.
type event struct {
	ID     string `json:"-"`
	Name   string `json:"-"`
	Data   []byte `json:"-"`
	Chunk  string `json:"chunk"`
	Offset int64  `json:"offset"`
	Bytes  []byte `json:"base64"`
}

// errStop ends a stream of events early without an error.
var errStop = errors.New("enough")

// maxEvent bounds one event.
const maxEvent = 64 << 20

// events gives the events of a stream until it ends or give fails. An event named
// "error" becomes an error.
func (c *Client) events(ctx context.Context, method, path string, query url.Values, in any, give func(event) error) error {
	resp, err := c.openEvents(ctx, method, path, query, in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	err = scanEvents(resp.Body, func(e event) error {
		if e.Name == "error" {
			return wireError(e.Data, http.StatusInternalServerError)
		}
		return give(e)
	})
	var cut *cutError
	switch {
	case errors.Is(err, errStop):
		return nil
	case errors.As(err, &cut):
		return broken(ctx, cut.err)
	}
	return err
}

// openEvents asks for a stream of events. The caller closes the reply's body.
func (c *Client) openEvents(ctx context.Context, method, path string, query url.Values, in any, header http.Header) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, api.Errorf(api.CodeInvalid, "cannot send the request: because %w", err)
		}
		body = bytes.NewReader(b)
	}
	h := http.Header{"Accept": {"text/event-stream"}}
	maps.Copy(h, header)
	return c.send(ctx, method, path, query, body, h)
}

// cutError is a stream that broke off.
type cutError struct{ err error }

func (e *cutError) Error() string { return e.err.Error() }

// scanEvents gives the events of a stream until it ends, breaks off, which is a
// cutError, or give fails.
func scanEvents(r io.Reader, give func(event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	var e event
	for lines.Scan() {
		line := lines.Bytes()
		if id, ok := bytes.CutPrefix(line, []byte("id: ")); ok {
			e.ID = string(id)
			continue
		}
		if name, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			e.Name = string(name)
			continue
		}
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			e.Data = bytes.Clone(data)
			continue
		}
		if len(line) > 0 || e.Data == nil {
			continue
		}
		_ = json.Unmarshal(e.Data, &e) // events of other shapes keep their data
		if err := give(e); err != nil {
			return err
		}
		e = event{}
	}
	if err := lines.Err(); err != nil {
		return &cutError{err}
	}
	return nil
}

// copyReply writes a reply's body to w and closes it.
func copyReply(ctx context.Context, w io.Writer, body io.ReadCloser) error {
	defer body.Close()
	if _, err := io.Copy(w, &replyReader{ctx, body}); err != nil {
		return err
	}
	return nil
}

// replyReader makes a reply that broke off an error of ours, so that it differs
// from one of the writer.
type replyReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *replyReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = broken(r.ctx, err)
	}
	return n, err
}
