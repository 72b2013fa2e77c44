// Package client is Brig's service as Go calls.
//
//	c, err := client.New("http://127.0.0.1:7777", os.Getenv("BRIG_API_KEY"))
//	sb, err := c.Sandboxes.Create(ctx, api.CreateRequest{Template: "python"})
//	defer sb.Delete(ctx)
//	res, err := sb.Exec(ctx, api.ExecRequest{Cmd: "python3 -c 'print(6*7)'"})
//
// Every error is an *api.Error: a code, what could not be done, and what mends it.
// A program that fails, or hits a limit, is no error but a result. A Client and
// all that it gives may be used concurrently. Calls take as long as their context
// lets them.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/brigdev/brig/api"
)

// maxReply bounds a JSON reply.
const maxReply = 256 << 20

// Client is a connection to one server.
type Client struct {
	Sandboxes Sandboxes
	Snapshots Snapshots
	Files     Uploads
	Batches   Batches
	Templates Templates
	Keys      Keys

	base *url.URL
	key  string
	http *http.Client
}

// New prepares calls to address: an http or https URL, or the path of a unix
// socket, with or without unix:// before it. Nothing is sent yet. A socket needs no
// key.
func New(address, key string) (*Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	c := Through(transport, key)
	if path, ok := socketPath(address); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		return c, nil
	}
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, api.Errorf(api.CodeInvalid, "cannot use the server %q: because it is neither a URL nor the path of a socket", address).
			WithFix("write it like http://127.0.0.1:7777 or /run/brig/api.sock")
	}
	u.Path, u.RawQuery = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/v1"), ""
	c.base = u
	return c, nil
}

func socketPath(address string) (string, bool) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		return path, true
	}
	return address, strings.HasPrefix(address, "/")
}

// Through prepares calls that transport carries instead of a connection of the
// client's own: to a server in this process, or by way of something that watches.
func Through(transport http.RoundTripper, key string) *Client {
	c := &Client{key: key, base: &url.URL{Scheme: "http", Host: "brig"}, http: &http.Client{Transport: transport}}
	c.Sandboxes.c, c.Snapshots.c, c.Files.c, c.Batches.c, c.Templates.c, c.Keys.c = c, c, c, c, c, c
	return c
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ready says whether the server can make sandboxes.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/readyz", nil, nil, nil)
}

// call sends in as JSON, nil for no body, and reads the reply into out, which may
// be nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return api.Errorf(api.CodeInvalid, "cannot send the request: because %w", err)
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.send(ctx, method, path, query, body, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(out); err != nil {
		return broken(ctx, err)
	}
	return nil
}

// send makes one request. A status of 400 or more becomes an error; otherwise the
// caller closes the reply's body.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body io.Reader, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url(path, query), body)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "cannot send the request: because %w", err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 400 {
		defer resp.Body.Close()
		return nil, errorOf(resp)
	}
	return resp, nil
}

func (c *Client) url(path string, query url.Values) string {
	u := *c.base
	u.Path = c.base.Path
	s := u.String() + path
	if len(query) > 0 {
		s += "?" + query.Encode()
	}
	return s
}

// unreachable is for a server that did not answer. The cause stays in the chain,
// for who wants to start one.
func (c *Client) unreachable(ctx context.Context, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err // without the URL, which may hold a key
	}
	if ctx.Err() != nil {
		return cancelled(err)
	}
	return api.Errorf(api.CodeUnavailable, "cannot reach the server: because %w", err).
		WithFix("see that 'brig serve' runs and that BRIG_API is right")
}

func cancelled(err error) error {
	return api.Errorf(api.CodeCancelled, "cannot wait for the server: because the caller gave up: %w", err)
}

// broken is for a reply that ended too early or makes no sense.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return cancelled(err)
	}
	return api.Errorf(api.CodeUnavailable, "cannot read the server's answer: because it broke off: %w", err).
		WithFix("see whether the server still runs, and try again")
}

// errorOf reads an error reply.
func errorOf(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what is there is enough
	return wireError(b, resp.StatusCode)
}

// wireError turns an error of the wire into the one that the server had.
func wireError(b []byte, status int) error {
	var e api.Error
	if json.Unmarshal(b, &e) != nil || e.Message == "" {
		e = api.Error{Message: "the server answered " + http.StatusText(status)}
	}
	switch e.Code {
	case api.CodeInvalid, api.CodeNotFound, api.CodeUnavailable, api.CodeExhausted, api.CodeConflict,
		api.CodeCancelled, api.CodeUnsupported, api.CodeInternal:
	default:
		e.Code = codeOf(status)
	}
	return &e
}

// codeOf classes a status whose reply has no code of ours.
func codeOf(status int) api.Code {
	switch {
	case status == http.StatusNotFound:
		return api.CodeNotFound
	case status == http.StatusConflict:
		return api.CodeConflict
	case status == http.StatusTooManyRequests:
		return api.CodeExhausted
	case status == http.StatusNotImplemented:
		return api.CodeUnsupported
	case status == http.StatusServiceUnavailable || status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return api.CodeUnavailable
	case status >= 400 && status < 500:
		return api.CodeInvalid
	}
	return api.CodeInternal
}
