package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

// forBrowsers lets pages of the configured origins call the API; "*" is every origin.
// A page needs a key like anybody else: no cookie opens a route. What a program
// inside answers is left as it is.
func (s *Server) forBrowsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		inside := strings.Contains(r.URL.Path, "/proxy/") || strings.HasPrefix(r.URL.Path, previewPath)
		if origin == "" || inside || !s.mayCall(origin) {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Expose-Headers", "X-Request-Id, X-Next-Cursor, X-Next-Token, X-Exec-Id, Link, Retry-After, Content-Range")
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, X-API-Key, X-Access-Token, Content-Type, Idempotency-Key, Range, Last-Event-ID, X-Request-Id")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

func (s *Server) mayCall(origin string) bool {
	return slices.Contains(s.cfg.Origins, origin) || slices.Contains(s.cfg.Origins, "*")
}
