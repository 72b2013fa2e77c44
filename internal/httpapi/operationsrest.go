package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
)

func keyOperations() map[string]operation {
	type tokenRequest struct {
		Label         string  `json:"label"`
		ExpiresInDays float64 `json:"expires_in_days"`
	}
	return map[string]operation{
		"POST /v1/keys":                 {id: "createKey", does: "Make a key. Its secret is in this answer only.", takes: api.KeyRequest{}, gives: api.Key{}, status: http.StatusCreated},
		"GET /v1/keys":                  {id: "listKeys", does: "The caller's keys.", gives: []api.Key{}, query: params{"all boolean Those of all owners, for an admin."}},
		"DELETE /v1/keys/{prefix}":      {id: "revokeKey", does: "Make a key worthless, at once."},
		"GET /v1/me":                    {id: "whoAmI", does: "Who the caller is.", gives: map[string]any{}},
		"POST /v1/me/tokens":            {id: "createToken", does: "Make a key, in the words of PandaStack's clients.", takes: tokenRequest{}, gives: token{}, status: http.StatusCreated},
		"GET /v1/me/tokens":             {id: "listTokens", does: "The caller's keys, in the words of PandaStack's clients.", gives: []token{}},
		"DELETE /v1/me/tokens/{prefix}": {id: "revokeToken", does: "Make a key worthless, at once."},
		"GET /v1/audit": {
			id: "listAudit", does: "What was done, by whom, and what became of it, the newest first. For an admin, of all owners.", gives: []audit.Entry{},
			query: params{"limit integer How many at most.", "cursor integer The X-Next-Cursor of the last page.", "owner string Only of this owner, for an admin."},
		},
		"GET /metrics": {id: "metrics", does: "Figures of the server in Prometheus' format, for an admin.", gives: textOf("The figures.")},
	}
}

// e2bOperations name what E2B's clients call. The shapes of the bodies are E2B's.
func e2bOperations() map[string]operation {
	ops := map[string]operation{}
	for _, x := range []struct{ pattern, id, does string }{
		{"POST /sandboxes", "e2bCreate", "Make a sandbox."},
		{"POST /v2/sandboxes", "e2bCreateV2", "Make a sandbox."},
		{"GET /sandboxes", "e2bList", "The caller's sandboxes that run."},
		{"GET /v2/sandboxes", "e2bListV2", "The caller's sandboxes, in pages."},
		{"GET /sandboxes/metrics", "e2bListMetrics", "What several use."},
		{"GET /sandboxes/{id}", "e2bGet", "One sandbox."},
		{"DELETE /sandboxes/{id}", "e2bKill", "Destroy it."},
		{"POST /sandboxes/{id}/connect", "e2bConnect", "Use it, and wake it if it is paused."},
		{"POST /v2/sandboxes/{id}/connect", "e2bConnectV2", "Use it, and wake it if it is paused."},
		{"POST /sandboxes/{id}/resume", "e2bResume", "Wake it."},
		{"POST /sandboxes/{id}/timeout", "e2bSetTimeout", "Move its deadline."},
		{"POST /sandboxes/{id}/refreshes", "e2bRefresh", "Put its deadline off."},
		{"POST /sandboxes/{id}/pause", "e2bPause", "Keep it on disk until it is used."},
		{"PUT /sandboxes/{id}/network", "e2bNetwork", "Change what it may reach."},
		{"GET /sandboxes/{id}/metrics", "e2bMetrics", "What it uses."},
		{"GET /sandboxes/{id}/logs", "e2bLogs", "What happened to it."},
		{"GET /v2/sandboxes/{id}/logs", "e2bLogsV2", "What happened to it."},
		{"POST /sandboxes/{id}/snapshots", "e2bSnapshot", "Keep this moment of it."},
		{"POST /sandboxes/{id}/fork", "e2bFork", "Copy it."},
		{"GET /snapshots", "e2bSnapshots", "The caller's snapshots."},
		{"GET /templates", "e2bTemplates", "What sandboxes can be made from."},
		{"GET /templates/{name}", "e2bTemplate", "One template."},
		{"GET /templates/aliases/{name}", "e2bAlias", "A template by its name."},
		{"DELETE /templates/{name}", "e2bDeleteTemplate", "Remove a snapshot that sandboxes can be made from."},
	} {
		op := operation{id: x.id, does: x.does, gives: map[string]any{}}
		if method := x.pattern[:3]; method == "POS" || method == "PUT" {
			op.takes = map[string]any{}
		}
		ops[x.pattern] = op
	}
	ops["GET /files"] = operation{id: "e2bDownload", does: "A file by its signed URL.", gives: bytesOf("The file.")}
	ops["POST /files"] = operation{id: "e2bUpload", does: "Write a file by its signed URL.", takes: bytesOf("The file, or a form with it."), gives: []map[string]any{}}
	return ops
}
