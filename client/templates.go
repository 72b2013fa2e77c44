package client

import (
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
)

// Templates are the root filesystems that sandboxes can be made from.
type Templates struct{ c *Client }

// List describes those that the caller may use.
func (t Templates) List(ctx context.Context) ([]api.TemplateInfo, error) {
	var list []api.TemplateInfo
	err := t.c.call(ctx, http.MethodGet, "/v1/templates", nil, nil, &list)
	return list, err
}

// Get describes one. CodeNotFound.
func (t Templates) Get(ctx context.Context, name string) (api.TemplateInfo, error) {
	var info api.TemplateInfo
	err := t.c.call(ctx, http.MethodGet, "/v1/templates/"+url.PathEscape(name), nil, nil, &info)
	return info, err
}

// Delete removes one of the caller's. CodeConflict while something needs it.
func (t Templates) Delete(ctx context.Context, name string) error {
	return t.c.call(ctx, http.MethodDelete, "/v1/templates/"+url.PathEscape(name), nil, nil, nil)
}

// BuildFiles gives what a build needs besides its request, one file after the
// other, to add.
type BuildFiles func(add func(path string, r io.Reader) error) error

// RootfsFile is the path of the file that is a whole root filesystem.
const RootfsFile = "rootfs"

// Build begins to make a template; files may be nil. Follow it with BuildLog.
func (t Templates) Build(ctx context.Context, req api.BuildRequest, files BuildFiles) (api.Build, error) {
	var b api.Build
	if files == nil {
		err := t.c.call(ctx, http.MethodPost, "/v1/templates/build", nil, req, &b)
		return b, err
	}
	body, kind, wait := form(func(w *multipart.Writer) error {
		if err := buildFields(w, req); err != nil {
			return err
		}
		return files(func(path string, r io.Reader) error { return formFile(w, path, "file", r) })
	})
	err := t.c.upload(ctx, "/v1/templates/build", kind, body, wait, &b)
	return b, err
}

// buildFields writes a request as the fields of a form.
func buildFields(w *multipart.Writer, req api.BuildRequest) error {
	args := ""
	if len(req.Args) > 0 {
		b, err := json.Marshal(req.Args)
		if err != nil {
			return err
		}
		args = string(b)
	}
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	noBake := ""
	if req.NoBake {
		noBake = "1"
	}
	for _, f := range [][2]string{
		{"name", req.Name}, {"dockerfile", req.Dockerfile}, {"image_ref", req.ImageRef}, {"target", req.Target}, {"args", args},
		{"allow_egress", strings.Join(req.AllowEgress, ",")}, {"warm", strings.Join(req.Warm, ",")}, {"warm_script", req.WarmScript},
		{"size_mb", number(req.SizeMB)}, {"run_memory_mb", number(req.RunMemoryMB)}, {"run_disk_mb", number(req.RunDiskMB)},
		{"run_timeout_seconds", number(int64(req.RunTimeoutSeconds))}, {"no_bake", noBake},
	} {
		if f[1] == "" {
			continue
		}
		if err := w.WriteField(f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}

// GetBuild says how far a build is. CodeNotFound.
func (t Templates) GetBuild(ctx context.Context, id string) (api.Build, error) {
	var b api.Build
	err := t.c.call(ctx, http.MethodGet, buildPath(id, ""), nil, nil, &b)
	return b, err
}

// Builds describes the caller's builds, the newest first; name "" means of all
// templates.
func (t Templates) Builds(ctx context.Context, name string) ([]api.Build, error) {
	var list []api.Build
	q := url.Values{}
	if name != "" {
		q.Set("name", name)
	}
	err := t.c.call(ctx, http.MethodGet, "/v1/templates/builds", q, nil, &list)
	return list, err
}

// DeleteBuild forgets a build, and ends it first if need be.
func (t Templates) DeleteBuild(ctx context.Context, id string) error {
	return t.c.call(ctx, http.MethodDelete, buildPath(id, ""), nil, nil, nil)
}

// BuildLog gives what happens in a build, with follow until it has ended, and then
// how far the build is.
func (t Templates) BuildLog(ctx context.Context, id string, follow bool, on func(api.BuildEvent)) (api.Build, error) {
	q := url.Values{"events": {"1"}}
	if follow {
		q.Set("follow", "1")
	}
	err := t.c.events(ctx, http.MethodGet, buildPath(id, "/logs"), q, nil, func(e event) error {
		var happened api.BuildEvent
		if err := json.Unmarshal(e.Data, &happened); err == nil && e.Name == "" {
			on(happened)
		}
		return nil
	})
	if err != nil {
		return api.Build{}, err
	}
	return t.GetBuild(ctx, id)
}

func buildPath(id, what string) string { return "/v1/templates/builds/" + url.PathEscape(id) + what }
