package e2b

import (
	"net/http"
	"strings"

	"github.com/brigdev/brig/api"
)

// missingRoutes are what E2B's API has and this server has not. A plain 404 would
// look like a wrong id.
func missingRoutes() []Route {
	var rows []Route
	for _, m := range []struct{ pattern, what string }{
		{"/volumes", "a volume"}, {"/volumecontent", "a volume"}, {"/secrets", "a secret"}, {"/teams", "a team"},
		{"/api-keys", "a key over E2B's API"}, {"/access-tokens", "an access token"}, {"/nodes", "a node"}, {"/admin", "administration"},
		{"/v2/templates", "building a template over E2B's API"}, {"/v3/templates", "building a template over E2B's API"},
		{"POST /templates", "building a template over E2B's API"}, {"PATCH /templates", "building a template over E2B's API"},
	} {
		rows = append(rows, Route{m.pattern, missing(m.what)}, Route{m.pattern + "/", missing(m.what)})
	}
	return append(rows,
		Route{"DELETE /templates/tags", missing("a tag")},
		Route{"GET /templates/{name}/{rest...}", missing("building or tagging a template over E2B's API")},
	)
}

// missing answers a route that only says so.
func missing(what string) handler {
	return func(*Server, http.ResponseWriter, *request) error { return errMissing(what) }
}

func errMissing(what string) error {
	return api.Errorf(api.CodeUnsupported, "%s is not part of this server", what).WithFix("docs/e2b.md lists what is")
}

// Owns tells whether a path is in E2B's control API, known or not: errors there
// have E2B's shape.
func Owns(path string) bool {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if first == "v2" || first == "v3" {
		first, _, _ = strings.Cut(rest, "/")
	}
	switch first {
	case "sandboxes", "snapshots", "templates", "volumes", "volumecontent", "secrets", "teams", "api-keys", "access-tokens", "nodes", "admin":
		return true
	}
	return false
}
