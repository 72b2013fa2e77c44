package envd_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/internal/control/controltest"
)

// form is a multipart upload; files are pairs of a path and content.
func form(t *testing.T, files ...string) (body io.Reader, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		part, err := w.CreateFormFile("file", files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b, w.FormDataContentType()
}

func zipped(text string) io.Reader {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return &b
}

func TestUpload(t *testing.T) {
	r := newRig(t)
	r.call("filesystem.Filesystem/MakeDir", object{"path": "/tmp/dir"}, http.StatusOK)
	const octets = "application/octet-stream"
	multi := func(files ...string) func() (io.Reader, string) {
		return func() (io.Reader, string) { return form(t, files...) }
	}
	raw := func(text string) func() (io.Reader, string) {
		return func() (io.Reader, string) { return strings.NewReader(text), octets }
	}
	for name, tt := range map[string]struct {
		query  string
		body   func() (io.Reader, string)
		header []string
		status int
		paths  []string // that the reply names, and that hold "data"
	}{
		"a part with a path":       {"", multi("/tmp/a/b/c.txt", "data"), nil, 200, []string{"/tmp/a/b/c.txt"}},
		"several parts":            {"", multi("/tmp/one", "data", "two", "data"), nil, 200, []string{"/tmp/one", "/home/user/two"}},
		"the query's path":         {"path=/tmp/q", multi("other", "data"), nil, 200, []string{"/tmp/q"}},
		"octets":                   {"path=~/octets", raw("data"), nil, 200, []string{"/home/user/octets"}},
		"root's home":              {"path=r&username=root", raw("data"), nil, 200, []string{"/root/r"}},
		"compressed":               {"path=/tmp/z", func() (io.Reader, string) { return zipped("data"), octets }, []string{"Content-Encoding", "gzip"}, 200, []string{"/tmp/z"}},
		"names from elsewhere":     {"", multi("/tmp/ü 漢 %41 b", "data"), nil, 200, []string{"/tmp/ü 漢 %41 b"}},
		"dots":                     {"path=/tmp/x/../../../y", raw("data"), nil, 200, []string{"/y"}},
		"no path":                  {"", raw("data"), nil, 400, nil},
		"a directory":              {"path=/tmp/dir", raw("data"), nil, 400, nil},
		"twice the same":           {"", multi("/tmp/s", "data", "/tmp/s", "data"), nil, 400, nil},
		"no parts":                 {"", multi(), nil, 400, nil},
		"an unknown type":          {"path=/tmp/t", func() (io.Reader, string) { return strings.NewReader("x"), "text/plain" }, nil, 400, nil},
		"not compressed after all": {"path=/tmp/n", raw("data"), []string{"Content-Encoding", "gzip"}, 400, nil},
		"an unknown compression":   {"path=/tmp/n", raw("data"), []string{"Content-Encoding", "br"}, 400, nil},
		"a NUL":                    {"path=/tmp/%00", raw("data"), nil, 400, nil},
		"metadata":                 {"path=/tmp/m", raw("data"), []string{"X-Metadata-A", "b"}, 501, nil},
		"more than the disk holds": {"path=/tmp/f", raw(strings.Repeat("x", 17<<20)), nil, 507, nil},
		"an unknown user":          {"path=/tmp/u&username=eve", raw("data"), nil, 401, nil},
	} {
		t.Run(name, func(t *testing.T) {
			body, kind := tt.body()
			resp := r.send(t.Context(), "POST", "/files?"+tt.query, body, append(tt.header, "Content-Type", kind)...)
			text := r.body(resp)
			if resp.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, tt.status, text)
			}
			if tt.status != 200 {
				return
			}
			var list []struct{ Name, Path, Type string }
			if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != len(tt.paths) {
				t.Fatalf("%v in %s", err, text)
			}
			for i, want := range tt.paths {
				if list[i].Path != want || list[i].Type != "file" || !strings.HasSuffix(want, "/"+list[i].Name) {
					t.Errorf("%+v, want %s", list[i], want)
				}
				if got := r.body(r.send(t.Context(), "GET", "/files?path="+url.QueryEscape(want), nil)); got != "data" {
					t.Errorf("%s holds %q", want, got)
				}
			}
		})
	}
}

func (r rig) put(path, text string) {
	r.t.Helper()
	resp := r.send(r.t.Context(), "POST", "/files?path="+url.QueryEscape(path), strings.NewReader(text), "Content-Type", "application/octet-stream")
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("put %s: %s", path, r.body(resp))
	}
}

// TestOwners: what a user makes is that user's.
func TestOwners(t *testing.T) {
	r := newRig(t)
	for user, want := range map[string]string{"root": "root", "33:34": "33"} {
		query := url.Values{"path": {"/tmp/" + user}, "username": {user}}
		if resp := r.send(t.Context(), "POST", "/files?"+query.Encode(), strings.NewReader("data"), "Content-Type", "application/octet-stream"); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", user, r.body(resp))
		}
		got := r.call("filesystem.Filesystem/Stat", object{"path": "/tmp/" + user}, http.StatusOK)
		if owner := got["entry"].(object)["owner"]; owner != want {
			t.Errorf("the file of %s is %v's", user, owner)
		}
	}
}

func TestDownload(t *testing.T) {
	r := newRig(t)
	large := strings.Repeat("0123456789abcdef", 200_000)
	r.put("/tmp/large", large)
	r.put("/tmp/empty", "")
	link := r.stream(t.Context(), "process.Process/Start", script("symlink large /tmp/link", "symlink link /tmp/link2", "symlink nowhere /tmp/broken", "symlink loop /tmp/loop"))
	link.started()
	link.rest()
	for name, tt := range map[string]struct {
		path   string
		header []string
		status int
		want   string
		length string // of the header, "" for any
	}{
		"whole":              {"/tmp/large", nil, 200, large, "3200000"},
		"through links":      {"/tmp/link2", nil, 200, large, "3200000"},
		"a range":            {"/tmp/large", []string{"Range", "bytes=16-31"}, 206, "0123456789abcdef", "16"},
		"the end":            {"/tmp/large", []string{"Range", "bytes=-6"}, 206, "abcdef", "6"},
		"beyond the end":     {"/tmp/large", []string{"Range", "bytes=3200000-"}, 416, "", ""},
		"empty":              {"/tmp/empty", nil, 200, "", "0"},
		"could take gzip":    {"/tmp/large", []string{"Accept-Encoding", "gzip, deflate, br"}, 200, large, "3200000"},
		"missing":            {"/tmp/nothing", nil, 404, "", ""},
		"a broken link":      {"/tmp/broken", nil, 404, "", ""},
		"a directory":        {"/tmp", nil, 400, "", ""},
		"a link to itself":   {"/tmp/loop", nil, 400, "", ""},
		"a file as a parent": {"/tmp/large/x", nil, 404, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp := r.send(t.Context(), "GET", "/files?path="+url.QueryEscape(tt.path), nil, append([]string{"Accept-Encoding", "identity"}, tt.header...)...)
			got := r.body(resp)
			if resp.StatusCode != tt.status || tt.want != "" && got != tt.want || tt.length != "" && resp.Header.Get("Content-Length") != tt.length {
				t.Errorf("status %d, %d bytes, length %s; want %d, %d, %s", resp.StatusCode, len(got), resp.Header.Get("Content-Length"), tt.status, len(tt.want), tt.length)
			}
		})
	}
	resp := r.send(t.Context(), "GET", "/files?path=/tmp/large", nil, "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(resp.Body)
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v, %v", err, resp.Header)
	}
	if got, err := io.ReadAll(z); err != nil || string(got) != large {
		t.Errorf("compressed: %d bytes, %v", len(got), err)
	}
}

func TestCompose(t *testing.T) {
	r := newRig(t)
	r.put("/tmp/1", "one ")
	r.put("/tmp/2", "two")
	post := func(req any) *http.Response {
		b, _ := json.Marshal(req)
		return r.send(t.Context(), "POST", "/files/compose", bytes.NewReader(b))
	}
	resp := post(object{"source_paths": []string{"/tmp/1", "/tmp/2", "/tmp/1"}, "destination": "whole"})
	if text := r.body(resp); resp.StatusCode != 200 || !strings.Contains(text, `"/home/user/whole"`) {
		t.Fatalf("status %d: %s", resp.StatusCode, text)
	}
	if got := r.body(r.send(t.Context(), "GET", "/files?path=whole", nil)); got != "one twoone " {
		t.Errorf("joined: %q", got)
	}
	for _, req := range []object{
		{"source_paths": []string{"/tmp/1"}, "destination": "/tmp/x"}, // it was removed
		{"source_paths": []string{}, "destination": "/tmp/x"},
		{"source_paths": []string{"whole"}, "destination": "whole"},
		{"source_paths": []string{"whole"}},
	} {
		if resp := post(req); resp.StatusCode < 400 || resp.StatusCode > 404 {
			t.Errorf("%v: status %d", req, resp.StatusCode)
		}
	}
}

func TestFilesystem(t *testing.T) {
	r := newRig(t)
	fs := func(method string, req object, status int) object {
		t.Helper()
		return r.call("filesystem.Filesystem/"+method, req, status)
	}
	r.put("/home/user/a/file", "12345")
	entry := fs("Stat", object{"path": "~/a/file"}, 200)["entry"].(object)
	want := object{"name": "file", "path": "/home/user/a/file", "type": "FILE_TYPE_FILE", "size": "5", "mode": 420.0, "permissions": "-rw-r--r--"}
	for k, want := range want {
		if entry[k] != want {
			t.Errorf("stat: %s is %v, want %v", k, entry[k], want)
		}
	}
	fs("Stat", object{"path": "nothing"}, 404)
	if e := fs("MakeDir", object{"path": "a/b/c"}, 200)["entry"].(object); e["type"] != "FILE_TYPE_DIRECTORY" || e["path"] != "/home/user/a/b/c" {
		t.Errorf("made %v", e)
	}
	if got := fs("MakeDir", object{"path": "a/b/c"}, 409); got["code"] != "already_exists" {
		t.Errorf("made again: %v", got)
	}
	fs("MakeDir", object{"path": "a/file"}, 400)
	names := func(req object) []string {
		t.Helper()
		list := []string{}
		for _, e := range fs("ListDir", req, 200)["entries"].([]any) {
			list = append(list, e.(object)["path"].(string))
		}
		slices.Sort(list)
		return list
	}
	if got := names(object{"path": "a"}); !reflect.DeepEqual(got, []string{"/home/user/a/b", "/home/user/a/file"}) {
		t.Errorf("listed %v", got)
	}
	if got := names(object{"path": "", "depth": 9}); !reflect.DeepEqual(got, []string{"/home/user/a", "/home/user/a/b", "/home/user/a/b/c", "/home/user/a/file"}) {
		t.Errorf("listed %v", got)
	}
	fs("ListDir", object{"path": "nothing"}, 404)
	fs("ListDir", object{"path": "a/file"}, 400)
	if e := fs("Move", object{"source": "a/file", "destination": "/tmp/new/name"}, 200)["entry"].(object); e["path"] != "/tmp/new/name" || e["size"] != "5" {
		t.Errorf("moved %v", e)
	}
	fs("Move", object{"source": "a/file", "destination": "b"}, 404)
	fs("Remove", object{"path": "a"}, 200)
	fs("Remove", object{"path": "a"}, 200)
	fs("Remove", object{"path": "/tmp/../"}, 400)
	fs("Stat", object{"path": "a"}, 404)
}

func TestWatchDir(t *testing.T) {
	r := newRig(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	c := r.stream(ctx, "filesystem.Filesystem/WatchDir", object{"path": "~", "recursive": true, "includeEntry": true})
	if msg, _ := c.next(); msg["start"] == nil {
		t.Fatalf("the first message is %v", msg)
	}
	r.put("/home/user/file", "x")
	msg, _ := c.next()
	e, _ := msg["filesystem"].(object)
	if e["name"] != "file" || !strings.HasPrefix(fmt.Sprint(e["type"]), "EVENT_TYPE_") || e["entry"].(object)["path"] != "/home/user/file" {
		t.Errorf("got %v", msg)
	}
	for path, want := range map[string]string{"/nothing": "not_found", "/home/user/file": "invalid_argument"} {
		if msg, last := r.stream(t.Context(), "filesystem.Filesystem/WatchDir", object{"path": path}).next(); !last || msg["error"].(object)["code"] != want {
			t.Errorf("%s: %v", path, msg)
		}
	}
}

func TestWatcher(t *testing.T) {
	r := newRig(t)
	fs := func(method string, req object, status int) object {
		t.Helper()
		return r.call("filesystem.Filesystem/"+method, req, status)
	}
	fs("CreateWatcher", object{"path": "/nothing"}, 404)
	id := fs("CreateWatcher", object{"path": "/tmp"}, 200)
	if got := fs("GetWatcherEvents", id, 200)["events"].([]any); len(got) != 0 {
		t.Errorf("events before anything happened: %v", got)
	}
	r.put("/tmp/file", "x")
	var got []any
	controltest.Eventually(t, "the file's event comes", func() bool {
		got = append(got, fs("GetWatcherEvents", id, 200)["events"].([]any)...)
		return len(got) > 0
	})
	if e := got[0].(object); e["name"] != "file" {
		t.Errorf("got %v", got)
	}
	fs("RemoveWatcher", id, 200)
	fs("RemoveWatcher", id, 404)
	fs("GetWatcherEvents", id, 404)
	for range 64 {
		id = fs("CreateWatcher", object{"path": "/tmp"}, 200)
	}
	if got := fs("CreateWatcher", object{"path": "/tmp"}, 429); got["code"] != "resource_exhausted" {
		t.Errorf("one too many: %v", got)
	}
}
