package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

func aboutOperations() map[string]operation {
	return map[string]operation{
		"GET /healthz":      {id: "health", does: "Whether the server answers.", gives: statusBody{}},
		"GET /readyz":       {id: "ready", does: "Whether it can make sandboxes.", gives: statusBody{}},
		"GET /version":      {id: "version", does: "Which server this is.", gives: versionBody{}},
		"GET /openapi.json": {id: "openapi", does: "This document.", gives: map[string]any{}},
		"GET /v1/templates": {id: "listTemplates", does: "What sandboxes can be made from.", gives: []Template{}, query: pages()},
		"GET /v1/templates/{name}": {
			id: "getTemplate", does: "One template.", gives: Template{},
		},
		"GET /v1/repl/languages": {id: "listLanguages", does: "The languages of code cells.", gives: []string{}},
	}
}

// pages are the parameters of a list that is given in pages.
func pages(more ...string) params {
	return append(params{
		"limit integer How many at most, 1 to 1000; all when it is left out.",
		"cursor string Where the last page ended: its X-Next-Cursor header, which the last page of all has not.",
	}, more...)
}

func sandboxOperations() map[string]operation {
	return map[string]operation{
		"POST /v1/sandboxes": {
			id: "createSandbox", takes: createBody{}, gives: api.Sandbox{}, status: http.StatusCreated,
			does:  "Make a sandbox. It is there, with its deadline, when the answer comes.",
			query: params{"header:Idempotency-Key string A repetition with the same key gives the same sandbox."},
		},
		"GET /v1/sandboxes": {
			id: "listSandboxes", does: "The caller's sandboxes, the newest first.", gives: []api.Sandbox{},
			query: pages(
				"all boolean Those that have ended, too.",
				"status string Only these, with commas between.",
				"template string Only those of this template.",
				"name string Only those of this name.",
				"created_after string Only those made after this time (RFC 3339).",
				"created_before string Only those made before this time (RFC 3339).",
				"metadata.KEY string Only those whose metadata has this value; KEY is any key.",
			),
		},
		"GET " + box:    {id: "getSandbox", does: "One sandbox, by its id, or by a name that only one living sandbox has.", gives: api.Sandbox{}},
		"DELETE " + box: {id: "deleteSandbox", does: "Destroy it. Nothing in it can run any more when the answer comes."},
		"GET " + box + "/logs": {
			id: "sandboxLogs", does: "The end of what its programs printed: text, or with follow events. It outlives the sandbox.",
			gives: textOf("The output."), query: params{
				"stream string stdout, stderr or both (default).",
				"follow boolean Events with a chunk each, until the sandbox ends.",
			},
		},
		"GET " + box + "/events": {
			id: "sandboxEvents", does: "What happened to it, the oldest first. It outlives the sandbox.", gives: []api.Event{},
			query: params{
				"tail integer Only the newest.",
				"follow boolean The same as events, until the sandbox ends.",
				"header:Last-Event-ID string With follow: begin behind this event.",
			},
		},
		"GET " + box + "/stats":        {id: "sandboxStats", does: "What it uses now.", gives: api.Stats{}},
		"GET " + box + "/metrics":      {id: "sandboxMetrics", does: "What it uses now.", gives: api.Stats{}},
		"GET /v1/metrics/sandbox/{id}": {id: "metricsOfSandbox", does: "What a sandbox uses now.", gives: api.Stats{}},
		"GET /v1/metrics/overview":     {id: "metricsOverview", does: "The caller's sandboxes in numbers.", gives: overview{}},
		"GET /v1/stats/boot":           {id: "bootStats", does: "How long the caller's sandboxes took to be made, by how.", gives: []bootFigures{}},
		box + "/mcp":                   {id: "sandboxMCP", does: "The Model Context Protocol over streamable HTTP, with the tools about this sandbox.", takes: map[string]any{}, gives: map[string]any{}},
		"/mcp":                         {id: "mcp", does: "The Model Context Protocol over streamable HTTP.", takes: map[string]any{}, gives: map[string]any{}},
		"/v1/mcp":                      {id: "mcpV1", does: "The Model Context Protocol over streamable HTTP.", takes: map[string]any{}, gives: map[string]any{}},
	}
}

func lifeOperations() map[string]operation {
	return map[string]operation{
		"GET " + box + "/lifecycle":   {id: "getLifecycle", does: "How long it may live.", gives: api.Lifecycle{}},
		"PATCH " + box + "/lifecycle": {id: "setLifecycle", does: "Move its deadlines. A new TTL counts from now.", takes: api.LifecycleChange{}, gives: api.Lifecycle{}},
		"POST " + box + "/pause":      {id: "pauseSandbox", does: "Stop every process in it until it is resumed; the deadline goes on."},
		"POST " + box + "/resume":     {id: "resumeSandbox", does: "Let a paused sandbox go on, or wake a hibernated one."},
		"POST " + box + "/hibernate":  {id: "hibernateSandbox", does: "Keep it on disk until its next use.", gives: statusBody{}},
		"POST " + box + "/wake":       {id: "wakeSandbox", does: "Restore a hibernated sandbox now.", gives: statusBody{}},
		"POST " + box + "/stop":       {id: "stopSandbox", does: "Another name of hibernate.", gives: statusBody{}},
		"POST " + box + "/start":      {id: "startSandbox", does: "Another name of wake.", gives: statusBody{}},
	}
}

func snapshotOperations() map[string]operation {
	return map[string]operation{
		"POST " + box + "/snapshots": {
			id: "createSnapshot", does: "Keep this moment of a sandbox: memory, files and programs. It goes on.",
			takes: snapshotRequest{}, gives: snapshotBody{}, status: http.StatusCreated,
		},
		"GET /v1/snapshots": {
			id: "listSnapshots", does: "The caller's snapshots, the newest first.", gives: []snapshotBody{},
			query: pages("sandbox_id string Only those of this sandbox."),
		},
		"GET /v1/snapshots/{snapshot}":    {id: "getSnapshot", does: "One snapshot, by its id, or by a name that only one has.", gives: snapshotBody{}},
		"DELETE /v1/snapshots/{snapshot}": {id: "deleteSnapshot", does: "Remove it."},
		"POST " + box + "/fork": {
			id: "forkSandbox", does: "Copy a running sandbox, which goes on: one child, or count.", takes: forkBody{}, gives: forkReply{}, status: http.StatusCreated,
		},
		"POST " + box + "/fork-tree": {
			id: "forkTree", does: "The same with two children unless count says otherwise.", takes: forkBody{}, gives: forkReply{}, status: http.StatusCreated,
		},
		"POST " + box + "/promote": {id: "promoteSandbox", does: "Keep this child of a fork and destroy its siblings.", takes: promoteBody{}, gives: api.PromoteResult{}},
	}
}

func codeOperations() map[string]operation {
	return map[string]operation{
		"POST " + box + "/code": {
			id: "runCode", takes: api.CodeRequest{}, gives: api.CodeExecution{},
			does: "Run one cell in an interpreter session. With Accept: text/event-stream, what it says comes as events, and its end as the last one.",
		},
		"GET " + box + "/code/contexts":                    {id: "listContexts", does: "The interpreter sessions.", gives: []api.CodeContext{}},
		"POST " + box + "/code/contexts":                   {id: "openContext", does: "Open a session.", takes: contextBody{}, gives: contextReply{}, status: http.StatusCreated},
		"DELETE " + box + "/code/contexts/{context}":       {id: "closeContext", does: "End a session."},
		"POST " + box + "/code/contexts/{context}/restart": {id: "restartContext", does: "Give a session a new, empty kernel."},
		"POST " + box + "/repl":                            {id: "runOnce", does: "Run a cell in a language's default session.", takes: cellBody{}, gives: cellReply{}},
		"GET " + box + "/repl/sessions":                    {id: "listSessions", does: "The interpreter sessions.", gives: []api.CodeContext{}},
		"POST " + box + "/repl/sessions":                   {id: "openSession", does: "Open a session.", takes: contextBody{}, gives: contextReply{}, status: http.StatusCreated},
		"DELETE " + box + "/repl/sessions/{context}":       {id: "closeSession", does: "End a session."},
		"POST " + box + "/repl/sessions/{context}/run":     {id: "runCell", does: "Run a cell in a session. A timeout is status 504 with what it had said.", takes: cellBody{}, gives: cellReply{}},
	}
}
