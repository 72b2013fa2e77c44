package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

func batchOperations() map[string]operation {
	listed := params{"limit integer How many at most, 1 to 100; default 20.", "after string The last_id of the page before."}
	lines := media{Type: "application/x-ndjson", Does: "Results, one a line."}
	return map[string]operation{
		"POST /v1/files":                  {id: "uploadFile", does: "Keep a file for a batch: a form with the field file, or a body that is the file.", takes: bytesOf("The file."), gives: api.File{}, query: params{"filename string What to call a body that is the file."}},
		"GET /v1/files":                   {id: "listFiles", does: "The caller's uploads, the newest first.", gives: api.Page[api.File]{}, query: listed},
		"GET /v1/files/{file}":            {id: "getFileInfo", does: "An upload, or what a batch left.", gives: api.File{}},
		"DELETE /v1/files/{file}":         {id: "deleteFile", does: "Remove an upload. Batches over it keep what they need.", gives: deleted{}},
		"GET /v1/files/{file}/content":    {id: "getFileContent", does: "Its bytes.", gives: bytesOf("The file.")},
		"POST /v1/batches":                {id: "createBatch", does: "Run every item of an upload in a sandbox of its own.", takes: api.BatchRequest{}, gives: api.Batch{}},
		"GET /v1/batches":                 {id: "listBatches", does: "The caller's batches, the newest first.", gives: api.Page[api.Batch]{}, query: listed},
		"GET /v1/batches/{batch}":         {id: "getBatch", does: "How far a batch is.", gives: api.Batch{}},
		"DELETE /v1/batches/{batch}":      {id: "deleteBatch", does: "Forget a batch that has ended, with its results.", gives: deleted{}},
		"POST /v1/batches/{batch}/cancel": {id: "cancelBatch", does: "End it. Results that it has stay.", gives: api.Batch{}},
		"POST /v1/batches/{batch}/retry":  {id: "retryBatch", does: "Run again what failed, and what has no result.", takes: api.BatchRetry{}, gives: api.Batch{}},
		"GET /v1/batches/{batch}/results": {
			id: "batchResults", does: "The results so far, one JSON object a line.", gives: lines,
			query: params{"follow boolean Go on until the batch has ended.", "offset integer Begin at this byte: behind what was read before."},
		},
		"GET /v1/batches/{batch}/item":     {id: "batchItem", does: "What is known of one item.", gives: api.BatchItem{}, query: params{"custom_id string Which."}},
		"GET /v1/batches/{batch}/artifact": {id: "batchArtifact", does: "A file that an item left.", gives: bytesOf("The file."), query: params{"custom_id string Whose.", "path string As in its result."}},
	}
}

func buildOperations() map[string]operation {
	return map[string]operation{
		"POST /v1/templates/build": {
			id: "buildTemplate", takes: api.BuildRequest{}, gives: api.Build{}, status: http.StatusAccepted,
			does: "Make a template. As a form, with the same fields, it takes files besides: rootfs, or what the Dockerfile copies, named by their paths.",
		},
		"GET /v1/templates/builds":            {id: "listBuilds", does: "The caller's builds, the newest first.", gives: []api.Build{}, query: params{"name string Only those of this template."}},
		"GET /v1/templates/builds/{build}":    {id: "getBuild", does: "How far a build is.", gives: api.Build{}},
		"DELETE /v1/templates/builds/{build}": {id: "deleteBuild", does: "Forget a build, and end it first if need be. Its template stays."},
		"GET /v1/templates/builds/{build}/logs": {
			id: "buildLogs", does: "What happened, as events with a line each, and an event done at last.", gives: eventsOf("The log."),
			query: params{"follow boolean Go on until the build has ended.", "events boolean Steps and lines as they are known inside."},
		},
		"DELETE /v1/templates/{name}": {id: "deleteTemplate", does: "Remove a template of the caller's."},
	}
}
