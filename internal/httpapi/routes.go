package httpapi

import (
	"net/http"
	"slices"
)

// handler answers one request, or says why it cannot.
type handler func(s *Server, w http.ResponseWriter, r *request) error

// route is one row of the table: what is served, to whom, by what. TestRoutes
// walks it.
type route struct {
	pattern string
	access  access
	handle  handler
}

const box = "/v1/sandboxes/{id}"

// routes is all that the server serves.
func routes() []route {
	return slices.Concat([]route{
		{"GET /healthz", accessPublic, healthz},
		{"GET /readyz", accessPublic, readyz},
		{"GET /version", accessPublic, version},
		{"GET /openapi.json", accessPublic, openAPI},

		{"POST /v1/sandboxes", accessUser, createSandbox},
		{"GET /v1/sandboxes", accessUser, listSandboxes},
		{"GET " + box, accessUser, getSandbox},
		{"DELETE " + box, accessUser, deleteSandbox},
		{"GET " + box + "/lifecycle", accessUser, getLifecycle},
		{"PATCH " + box + "/lifecycle", accessUser, patchLifecycle},
		{"POST " + box + "/pause", accessUser, pauseSandbox},
		{"POST " + box + "/resume", accessUser, resumeSandbox},
		{"POST " + box + "/hibernate", accessUser, hibernateSandbox},
		{"POST " + box + "/wake", accessUser, wakeSandbox},
		{"POST " + box + "/stop", accessUser, hibernateSandbox},
		{"POST " + box + "/start", accessUser, wakeSandbox},
		{"GET " + box + "/stats", accessUser, sandboxStats},
		{"GET " + box + "/metrics", accessUser, sandboxStats},
		{"GET " + box + "/logs", accessUser, sandboxLogs},
		{"GET " + box + "/events", accessUser, sandboxEvents},

		{"POST " + box + "/exec", accessUser, execSandbox},
		{"GET " + box + "/exec/raw", accessUser, execRaw},
		{"GET " + box + "/exec/pty", accessUser, execTerminal},
		{"GET " + box + "/ssh", accessUser, execTerminal},
		{"POST " + box + "/processes", accessUser, startProcess},
		{"GET " + box + "/processes", accessUser, listProcesses},
		{"GET " + box + "/processes/{process}", accessUser, getProcess},
		{"GET " + box + "/processes/{process}/output", accessUser, processOutput},
		{"POST " + box + "/processes/{process}/stdin", accessUser, writeProcess},
		{"POST " + box + "/processes/{process}/signal", accessUser, signalProcess},
		{"POST " + box + "/processes/{process}/resize", accessUser, resizeProcess},

		{"PUT " + box + "/fs", accessUser, putFile},
		{"GET " + box + "/fs", accessUser, getFile},
		{"DELETE " + box + "/fs", accessUser, removeFile},
		{"GET " + box + "/fs/dir", accessUser, listDir},
		{"POST " + box + "/fs/dir", accessUser, makeDir},
		{"GET " + box + "/fs/stat", accessUser, statFile},
		{"POST " + box + "/fs/move", accessUser, moveFile},
		{"GET " + box + "/fs/tar", accessUser, getTar},
		{"PUT " + box + "/fs/tar", accessUser, putTar},

		{"POST " + box + "/snapshots", accessUser, createSnapshot},
		{"GET /v1/snapshots", accessUser, listSnapshots},
		{"GET /v1/snapshots/{snapshot}", accessUser, getSnapshot},
		{"DELETE /v1/snapshots/{snapshot}", accessUser, deleteSnapshot},
		{"POST " + box + "/fork", accessUser, forkSandbox},
		{"POST " + box + "/fork-tree", accessUser, forkTree},
		{"POST " + box + "/promote", accessUser, promoteSandbox},

		{"GET /v1/templates", accessUser, listTemplates},
		{"GET /v1/templates/{name}", accessUser, getTemplate},
	},
		portRoutes(),
		streamRoutes(),
		codeRoutes(),
		figureRoutes(),
		mcpRoutes(),
		keyRoutes(),
		auditRoutes(),
		metricRoutes(),
		e2bRoutes(),
		batchRoutes(),
		buildRoutes(),
		missingRoutes(),
	)
}

// missingRoutes are the nouns of published clients that this server has not. A
// plain 404 would look like a wrong id.
func missingRoutes() []route {
	var rows []route
	for _, m := range []struct{ path, what string }{
		{"/v1/functions", "a function"}, {"/v1/schedules", "a schedule"}, {"/v1/databases", "a database"},
		{"/v1/apps", "an app"}, {"/v1/preview-repos", "a preview"}, {"/v1/repos", "a repository"},
		{"/v1/orgs", "an organisation"}, {"/v1/github", "GitHub"}, {"/v1/billing", "billing"},
		{"/v1/volumes", "a volume"},
		{box + "/lsp", "a language server"},
	} {
		rows = append(rows, route{m.path, accessUser, missing(m.what)}, route{m.path + "/", accessUser, missing(m.what)})
	}
	return rows
}
