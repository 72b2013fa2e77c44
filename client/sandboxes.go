package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/brigdev/brig/api"
)

// Sandboxes is the collection of the caller's sandboxes.
type Sandboxes struct{ c *Client }

// Sandbox is one of them.
type Sandbox struct {
	ID string
	// Files are those inside.
	Files Files

	c *Client
	// Info is what the server said of it when this value was made.
	Info api.Sandbox
}

func (s Sandboxes) wrap(info api.Sandbox) *Sandbox {
	sb := s.Open(info.ID)
	sb.Info = info
	return sb
}

// Create makes a sandbox; it answers when Create returns.
func (s Sandboxes) Create(ctx context.Context, req api.CreateRequest) (*Sandbox, error) {
	var info api.Sandbox
	if err := s.c.call(ctx, http.MethodPost, "/v1/sandboxes", nil, req, &info); err != nil {
		return nil, err
	}
	return s.wrap(info), nil
}

// Get finds one by its id, or by a name that only one has.
func (s Sandboxes) Get(ctx context.Context, id string) (*Sandbox, error) {
	var info api.Sandbox
	if err := s.c.call(ctx, http.MethodGet, "/v1/sandboxes/"+url.PathEscape(id), nil, nil, &info); err != nil {
		return nil, err
	}
	return s.wrap(info), nil
}

// Open is Get without asking the server: for calls that fail by themselves when
// there is none.
func (s Sandboxes) Open(id string) *Sandbox {
	sb := &Sandbox{ID: id, c: s.c}
	sb.Files.sb = sb
	return sb
}

// List describes them, the newest first; with ended those that are no more, too.
func (s Sandboxes) List(ctx context.Context, ended bool) ([]api.Sandbox, error) {
	var list []api.Sandbox
	q := url.Values{}
	if ended {
		q.Set("all", "1")
	}
	err := s.c.call(ctx, http.MethodGet, "/v1/sandboxes", q, nil, &list)
	return list, err
}

func (sb *Sandbox) path(rest string) string { return "/v1/sandboxes/" + url.PathEscape(sb.ID) + rest }

func (sb *Sandbox) post(ctx context.Context, what string, in, out any) error {
	return sb.c.call(ctx, http.MethodPost, sb.path(what), nil, in, out)
}

// Delete destroys it and returns when nothing in it can run any more.
func (sb *Sandbox) Delete(ctx context.Context) error {
	return sb.c.call(ctx, http.MethodDelete, sb.path(""), nil, nil, nil)
}

// Pause stops every process until Resume; the deadline goes on.
func (sb *Sandbox) Pause(ctx context.Context) error { return sb.post(ctx, "/pause", nil, nil) }

// Resume lets a paused sandbox go on, and wakes a hibernated one.
func (sb *Sandbox) Resume(ctx context.Context) error { return sb.post(ctx, "/resume", nil, nil) }

// Hibernate keeps it on disk until its next use.
func (sb *Sandbox) Hibernate(ctx context.Context) error { return sb.post(ctx, "/hibernate", nil, nil) }

// Wake restores a hibernated sandbox now.
func (sb *Sandbox) Wake(ctx context.Context) error { return sb.post(ctx, "/wake", nil, nil) }

// Lifecycle says how long it may live.
func (sb *Sandbox) Lifecycle(ctx context.Context) (api.Lifecycle, error) {
	var l api.Lifecycle
	err := sb.c.call(ctx, http.MethodGet, sb.path("/lifecycle"), nil, nil, &l)
	return l, err
}

// SetLifecycle moves its deadlines.
func (sb *Sandbox) SetLifecycle(ctx context.Context, change api.LifecycleChange) (api.Lifecycle, error) {
	var l api.Lifecycle
	err := sb.c.call(ctx, http.MethodPatch, sb.path("/lifecycle"), nil, change, &l)
	return l, err
}

// Stats is what it uses now.
func (sb *Sandbox) Stats(ctx context.Context) (api.Stats, error) {
	var st api.Stats
	err := sb.c.call(ctx, http.MethodGet, sb.path("/stats"), nil, nil, &st)
	return st, err
}

// Logs writes the end of what its programs printed to w; with follow it goes on
// until the sandbox ends. Stream is stdout, stderr or "" for both.
func (sb *Sandbox) Logs(ctx context.Context, stream string, follow bool, w io.Writer) error {
	q := url.Values{"stream": {stream}}
	if !follow {
		resp, err := sb.c.send(ctx, http.MethodGet, sb.path("/logs"), q, nil, nil)
		if err != nil {
			return err
		}
		return copyReply(ctx, w, resp.Body)
	}
	q.Set("follow", "1")
	return sb.c.events(ctx, http.MethodGet, sb.path("/logs"), q, nil, func(e event) error {
		_, err := io.WriteString(w, e.Chunk)
		return err
	})
}

// Events gives the newest tail things that happened to it, the oldest first; 0
// means all that are kept. They outlive the sandbox.
func (sb *Sandbox) Events(ctx context.Context, tail int) ([]api.Event, error) {
	var list []api.Event
	err := sb.c.call(ctx, http.MethodGet, sb.path("/events"), url.Values{"tail": {strconv.Itoa(tail)}}, nil, &list)
	return list, err
}

// FollowEvents gives what happened to it and what happens, until it ends or give
// fails.
func (sb *Sandbox) FollowEvents(ctx context.Context, give func(api.Event) error) error {
	return sb.c.events(ctx, http.MethodGet, sb.path("/events"), url.Values{"follow": {"1"}}, nil, func(e event) error {
		var happened api.Event
		if err := json.Unmarshal(e.Data, &happened); err != nil {
			return broken(ctx, err)
		}
		return give(happened)
	})
}

// Fork makes children of this moment; the sandbox goes on.
func (sb *Sandbox) Fork(ctx context.Context, req api.ForkRequest) (api.ForkResult, error) {
	var res api.ForkResult
	err := sb.post(ctx, "/fork", req, &res)
	return res, err
}

// Promote keeps this child of a fork and destroys its siblings.
func (sb *Sandbox) Promote(ctx context.Context) (api.PromoteResult, error) {
	var res api.PromoteResult
	err := sb.post(ctx, "/promote", map[string]bool{"cleanup_siblings": true}, &res)
	return res, err
}

// Snapshot keeps this moment; the sandbox goes on. The name may be empty; ttl 0
// seconds keeps it until it is removed.
func (sb *Sandbox) Snapshot(ctx context.Context, name string, ttlSeconds float64) (api.Snapshot, error) {
	var m api.Snapshot
	err := sb.post(ctx, "/snapshots", map[string]any{"name": name, "ttl_seconds": ttlSeconds}, &m)
	return m, err
}

// Snapshots is the collection of the caller's snapshots.
type Snapshots struct{ c *Client }

// List gives them, the newest first; sandbox "" means of all sandboxes.
func (s Snapshots) List(ctx context.Context, sandbox string) ([]api.Snapshot, error) {
	var list []api.Snapshot
	q := url.Values{}
	if sandbox != "" {
		q.Set("sandbox_id", sandbox)
	}
	err := s.c.call(ctx, http.MethodGet, "/v1/snapshots", q, nil, &list)
	return list, err
}

// Get gives one by its id, or by a name that only one has.
func (s Snapshots) Get(ctx context.Context, id string) (api.Snapshot, error) {
	var m api.Snapshot
	err := s.c.call(ctx, http.MethodGet, "/v1/snapshots/"+url.PathEscape(id), nil, nil, &m)
	return m, err
}

// Delete removes one.
func (s Snapshots) Delete(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodDelete, "/v1/snapshots/"+url.PathEscape(id), nil, nil, nil)
}
