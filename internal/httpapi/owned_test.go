package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/builds"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/host/hosttest"
	"github.com/brigdev/brig/internal/jobs"
	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/jetstream"
	"github.com/brigdev/brig/internal/template"
)

// noCatalogue has one template, and builds in no time.
type noCatalogue struct{}

func (noCatalogue) Build(_ context.Context, name string, o template.BuildOptions, _ func(string)) (template.Template, error) {
	o.Events(template.BuildEvent{Event: "log", Text: "says event: done"})
	return template.Template{Name: name, Digest: "sha256:d"}, nil
}
func (noCatalogue) Remove(context.Context, string) error { return nil }
func (noCatalogue) List(context.Context) ([]template.Info, error) {
	return []template.Info{{Name: "shared"}}, nil
}

// tenants is a server with batches and builds, and two tenants' keys.
type tenants struct {
	t        *testing.T
	handler  http.Handler
	ann, bob string
}

func newTenants(t *testing.T) *tenants {
	t.Helper()
	m, err := host.NewManager(host.Config{
		Drivers: []driver.Driver{fake.New(fake.Options{Rung: api.RungGVisor})}, Templates: hosttest.NewTemplates(t), StateDir: t.TempDir(),
		MemoryBytes: 64 << 30, CPUs: 8, CPUOvercommit: 8, MaxStarts: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	j, err := jobs.Open(jobs.Config{
		Dir: t.TempDir(), Host: m, MaxFileBytes: 1000,
		OpenJournal: func(ctx context.Context, dir string) (store.Store, error) {
			return jetstream.Open(ctx, dir, jetstream.Options{})
		},
		Template: func(context.Context, string, string) (string, []string, error) {
			return "fake", []string{"python"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := builds.Open(builds.Config{Dir: t.TempDir(), Templates: noCatalogue{}, Local: auth.LocalOwner, Bake: func(context.Context, template.Template, func(string)) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(); j.Close(); _ = m.Close(context.Background()) })
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	x := &tenants{t: t}
	for owner, secret := range map[string]*string{"ann": &x.ann, "bob": &x.bob} {
		if _, *secret, err = keys.Create(auth.Request{Owner: owner}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(context.Context) ([]Template, error) { return []Template{{Name: "shared"}, {Name: "app"}}, nil }
	x.handler = New(Config{Sandboxes: controltest.New(t).Service, Jobs: j, Builds: b, Keys: keys, Templates: list}).Handler(false)
	return x
}

func (x *tenants) ask(key, method, path, kind string, body io.Reader) *httptest.ResponseRecorder {
	x.t.Helper()
	req := httptest.NewRequestWithContext(x.t.Context(), method, path, body)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	x.handler.ServeHTTP(w, req)
	return w
}

// form makes a form of fields and files: "@name" is a file of that field.
func form(t *testing.T, parts ...string) (kind string, body io.Reader) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		name, isFile := strings.CutPrefix(parts[i], "@")
		w, err := io.Writer(nil), error(nil)
		if isFile {
			w, err = m.CreateFormFile(name, filepath.Base(name))
		} else {
			w, err = m.CreateFormField(name)
		}
		if err == nil {
			_, err = io.WriteString(w, parts[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return m.FormDataContentType(), &b
}

// want asks as ann and reads the answer.
func (x *tenants) want(status int, v any, method, path, kind string, body io.Reader) {
	x.t.Helper()
	w := x.ask(x.ann, method, path, kind, body)
	if w.Code != status {
		x.t.Fatalf("%s %s: status %d: %s", method, path, w.Code, w.Body)
	}
	if v != nil {
		if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
			x.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
}

// TestOwnedRoutes walks the rows of files, batches, builds and templates: without a
// key nobody is served, and what is ann's does not exist for bob.
func TestOwnedRoutes(t *testing.T) {
	x := newTenants(t)
	var file api.File
	kind, body := form(t, "purpose", "batch", "@file", `{"custom_id":"a","code":"write /work/result.json 1"}`)
	x.want(200, &file, "POST", "/v1/files", kind, body)
	var batch api.Batch
	x.want(400, nil, "POST", "/v1/batches", "", strings.NewReader(`{}`))
	x.want(200, &batch, "POST", "/v1/batches", "", strings.NewReader(`{"input_file_id":"`+file.ID+`","endpoint":"/v1/x","completion_window":"24h","metadata":{"n":1,"b":true}}`))
	if batch.Metadata["n"] != "1" || batch.Metadata["b"] != "true" || batch.CompletionWindow != "24h" {
		t.Errorf("%+v", batch)
	}
	var build api.Build
	kind, body = form(t, "name", "app", "dockerfile", "FROM shared\r\nRUN x\r\n", "size_mb", "512", "cpu", "2", "memory_mb", "64", "@src/a.py", "print()")
	x.want(202, &build, "POST", "/v1/templates/build", kind, body)
	if build.Request.Dockerfile != "FROM shared\nRUN x\n" || build.SizeMB != 512 {
		t.Errorf("%+v", build)
	}
	x.want(200, nil, "GET", "/v1/batches/"+batch.ID+"/results?follow=1", "", nil)
	x.want(200, nil, "GET", "/v1/templates/builds/"+build.ID+"/logs?follow=1", "", nil)

	fill := strings.NewReplacer("{file}", file.ID, "{batch}", batch.ID, "{build}", build.ID, "{name}", "app")
	for _, row := range slices.Concat(batchRoutes(), buildRoutes(), []route{{"GET /v1/templates/{name}", accessUser, getTemplate}}) {
		method, path, _ := strings.Cut(row.pattern, " ")
		path = fill.Replace(path) + "?custom_id=a&path=x&follow=1"
		if w := x.ask("", method, path, "", nil); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: status %d without a key", row.pattern, w.Code)
		}
		w := x.ask(x.bob, method, path, "", nil)
		if named := strings.Contains(row.pattern, "{"); named && w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d for bob: %s", row.pattern, w.Code, w.Body)
		}
		for _, id := range []string{file.ID, batch.ID, build.ID} {
			if strings.Contains(w.Body.String(), `"id":"`+id) {
				t.Errorf("%s: bob is told %s", row.pattern, w.Body)
			}
		}
	}
	if w := x.ask(x.bob, "GET", "/v1/templates", "", nil); strings.Contains(w.Body.String(), `"app"`) || !strings.Contains(w.Body.String(), `"shared"`) {
		t.Errorf("bob's templates: %s", w.Body)
	}
	if w := x.ask(x.ann, "GET", "/v1/templates", "", nil); !strings.Contains(w.Body.String(), `"app"`) {
		t.Errorf("ann's templates: %s", w.Body)
	}
	for _, name := range []string{"app", "shared", "python"} {
		if w := x.ask(x.bob, "POST", "/v1/templates/build", "", strings.NewReader(`{"name":"`+name+`","dockerfile":"FROM shared"}`)); w.Code != http.StatusConflict {
			t.Errorf("bob builds %s: status %d", name, w.Code)
		}
	}
	x.want(200, nil, "DELETE", "/v1/batches/"+batch.ID, "", nil)
	x.want(204, nil, "DELETE", "/v1/templates/app", "", nil)
}

// TestBuildLogOnTheWire: what a program prints never looks like the end.
func TestBuildLogOnTheWire(t *testing.T) {
	x := newTenants(t)
	var build api.Build
	x.want(202, &build, "POST", "/v1/templates/build", "application/json", strings.NewReader(`{"name":"app","image_ref":"alpine:3"}`))
	w := x.ask(x.ann, "GET", "/v1/templates/builds/"+build.ID+"/logs?follow=1", "", nil)
	log := w.Body.String()
	if strings.Contains(log, "\r") || !strings.HasSuffix(log, "\n\n") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
		t.Errorf("framing: %q", log)
	}
	events := strings.Split(strings.TrimSuffix(log, "\n\n"), "\n\n")
	for i, e := range events {
		if last := i == len(events)-1; last != strings.Contains(e, "event: done") {
			t.Errorf("event %d of %d: %q", i, len(events), e)
		}
	}
	var line struct{ Line string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(events[0], "data: ")), &line); err != nil || !strings.HasSuffix(line.Line, "says event: done") {
		t.Errorf("%q, %v", events[0], err)
	}
	if w := x.ask(x.ann, "GET", "/v1/templates/builds", "", nil); !strings.HasPrefix(w.Body.String(), "[{") {
		t.Errorf("builds are no bare array: %s", w.Body)
	}
}

// TestBadForms: what makes no sense is the caller's fault, and said so.
func TestBadForms(t *testing.T) {
	x := newTenants(t)
	multi := "multipart/form-data; boundary=x"
	large, largeBody := form(t, "@file", strings.Repeat("x", 2000))
	none, noneBody := form(t, "purpose", "batch")
	out, outBody := form(t, "name", "app", "dockerfile", "x", "@../../etc/passwd", "x")
	number, numberBody := form(t, "name", "app", "size_mb", "many", "dockerfile", "x")
	args, argsBody := form(t, "name", "app", "args", "{", "dockerfile", "x")
	for what, c := range map[string]struct {
		path, kind string
		body       io.Reader
	}{
		"no boundary":      {"/v1/files", "multipart/form-data", strings.NewReader("x")},
		"no parts":         {"/v1/files", multi, strings.NewReader("")},
		"broken part":      {"/v1/files", multi, strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nabc")},
		"too large":        {"/v1/files", large, largeBody},
		"no file":          {"/v1/files", none, noneBody},
		"leads out":        {"/v1/templates/build", out, outBody},
		"no number":        {"/v1/templates/build", number, numberBody},
		"no JSON":          {"/v1/templates/build", args, argsBody},
		"broken JSON":      {"/v1/batches", "application/json", strings.NewReader("{")},
		"a list":           {"/v1/batches", "application/json", strings.NewReader("[]")},
		"broken build":     {"/v1/templates/build", "application/json", strings.NewReader(`{"name": 3}`)},
		"nothing to build": {"/v1/templates/build", "", nil},
	} {
		w := x.ask(x.ann, "POST", c.path, c.kind, c.body)
		var e api.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); w.Code != http.StatusBadRequest || err != nil || e.Message == "" || e.Fix == "" {
			t.Errorf("%s: status %d: %s", what, w.Code, w.Body)
		}
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "after=nothing"} {
		if w := x.ask(x.ann, "GET", "/v1/batches?"+query, "", nil); w.Code != http.StatusBadRequest {
			t.Errorf("?%s: status %d", query, w.Code)
		}
	}
	var page api.Page[api.Batch]
	x.want(200, &page, "GET", "/v1/batches", "", nil)
	if page.Object != "list" || page.Data == nil {
		t.Errorf("%+v", page)
	}
}
