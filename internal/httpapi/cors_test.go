package httpapi

import (
	"net/http"
	"testing"
)

// TestBrowsers: pages of the named origins may call, with a key; others get nothing.
func TestBrowsers(t *testing.T) {
	x := newTarget(t)
	x.server.cfg.Origins = []string{"https://app.example.com"}
	for _, tt := range []struct {
		method, path, origin, key string
		status                    int
		allowed                   bool
	}{
		{"OPTIONS", "/v1/sandboxes", "https://app.example.com", "", 204, true},
		{"GET", "/v1/sandboxes", "https://app.example.com", x.key, 200, true},
		{"GET", "/v1/sandboxes", "https://app.example.com", "", 401, true},
		{"GET", "/v1/sandboxes", "https://other.example.com", x.key, 200, false},
		{"OPTIONS", "/v1/sandboxes", "https://other.example.com", "", 405, false},
		{"GET", "/v1/sandboxes", "", x.key, 200, false},
		{"OPTIONS", "/v1/sandboxes/" + x.id + "/proxy/80/", "https://app.example.com", "", 401, false},
	} {
		header := http.Header{"Access-Control-Request-Method": {"POST"}}
		if tt.origin != "" {
			header.Set("Origin", tt.origin)
		}
		if tt.key != "" {
			header.Set("Authorization", "Bearer "+tt.key)
		}
		w, err := x.send(tt.method, tt.path, "", header)
		if err != nil {
			t.Fatal(err)
		}
		allowed := w.Header().Get("Access-Control-Allow-Origin") == tt.origin && tt.origin != ""
		if w.Code != tt.status || allowed != tt.allowed || w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s from %q: status %d, %v", tt.method, tt.path, tt.origin, w.Code, w.Header())
		}
	}
}
