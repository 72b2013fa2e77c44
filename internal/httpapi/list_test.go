package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func (r *rig) names(path string) (names []string, got reply) {
	r.t.Helper()
	got = r.do("GET", path, nil)
	r.want(path, got, 200)
	var list []struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(got.body, &list); err != nil {
		r.t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names, got
}

// TestPages: pages are the list, also when it changes between them.
func TestPages(t *testing.T) {
	r := newRig(t)
	ids := map[string]string{}
	for i := range 7 {
		name := fmt.Sprint("s", i)
		ids[name] = r.do("POST", "/v1/sandboxes", map[string]any{"template": "fake", "name": name}).json(t)["id"].(string)
	}
	all, got := r.names("/v1/sandboxes")
	if len(all) != 7 || all[0] != "s6" || got.header.Get("X-Next-Cursor") != "" {
		t.Errorf("all: %v, %v", all, got.header)
	}
	var seen []string
	path := "/v1/sandboxes?limit=3"
	for pages := 0; path != ""; pages++ {
		names, got := r.names(path)
		seen = append(seen, names...)
		path = ""
		if cursor := got.header.Get("X-Next-Cursor"); cursor != "" {
			path = "/v1/sandboxes?limit=3&cursor=" + url.QueryEscape(cursor)
			if link := got.header.Get("Link"); !strings.Contains(link, "cursor="+cursor) || !strings.HasSuffix(link, `rel="next"`) {
				t.Errorf("link %q", link)
			}
		}
		if pages == 0 { // what the page ended with goes, and something new comes
			r.do("DELETE", "/v1/sandboxes/"+ids["s4"], nil)
			r.do("POST", "/v1/sandboxes", map[string]any{"template": "fake", "name": "new"})
		}
	}
	if want := []string{"s6", "s5", "s4", "s3", "s2", "s1", "s0"}; !slices.Equal(seen, want) {
		t.Errorf("pages gave %v, want %v", seen, want)
	}
	for _, bad := range []string{"limit=0", "limit=1001", "limit=-1", "limit=x", "cursor=!", "cursor=garbage", "created_after=yesterday"} {
		r.want(bad, r.do("GET", "/v1/sandboxes?"+bad, nil), 400)
	}
}

func TestFilters(t *testing.T) {
	r := newRig(t)
	before := url.QueryEscape(time.Now().Add(-time.Minute).Format(time.RFC3339))
	after := url.QueryEscape(time.Now().Add(time.Minute).Format(time.RFC3339))
	for i := range 3 {
		r.do("POST", "/v1/sandboxes", map[string]any{"template": "fake", "name": fmt.Sprint("s", i), "metadata": map[string]any{"n": i, "same": "yes"}})
	}
	r.want("pause", r.do("POST", "/v1/sandboxes/s1/pause", nil), 204)
	for query, want := range map[string]string{
		"name=s1": "s1", "metadata.n=2": "s2", "metadata.same=yes": "s2 s1 s0", "metadata.none=": "",
		"metadata.same=yes&metadata.n=0": "s0", "status=paused": "s1", "status=paused,running": "s2 s1 s0",
		"template=fake&limit=1": "s2", "template=other": "", "created_after=" + before: "s2 s1 s0", "created_after=" + after: "",
		"created_before=" + before: "", "created_before=" + after: "s2 s1 s0",
	} {
		if got, _ := r.names("/v1/sandboxes?" + query); strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	got := r.do("GET", "/v1/metrics/overview", nil).json(t)
	if got["sandboxes"] != 3.0 || got["by_status"].(map[string]any)["paused"] != 1.0 {
		t.Errorf("overview %v", got)
	}
	r.want("boot", r.do("GET", "/v1/stats/boot", nil), 200)
}
