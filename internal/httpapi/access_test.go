package httpapi

import (
	"testing"

	"github.com/brigdev/brig/internal/auth"
)

func TestNeeds(t *testing.T) {
	for pattern, want := range map[string]auth.Need{
		"POST /v1/sandboxes":              {Scope: auth.ScopeSandboxes},
		"GET /v1/sandboxes":               {Scope: auth.ScopeSandboxes, Looks: true},
		"GET " + box + "/fs":              {Scope: auth.ScopeSandboxes, Looks: true},
		"PUT " + box + "/fs":              {Scope: auth.ScopeSandboxes},
		"GET " + box + "/exec/raw":        {Scope: auth.ScopeSandboxes},
		"GET " + box + "/exec/pty":        {Scope: auth.ScopeSandboxes},
		"GET " + box + "/ssh":             {Scope: auth.ScopeSandboxes},
		"GET " + box + "/mcp":             {Scope: auth.ScopeSandboxes},
		box + "/proxy/{port}/{path...}":   {Scope: auth.ScopeSandboxes},
		"GET " + box + "/proxy/{port}/":   {Scope: auth.ScopeSandboxes},
		"/mcp":                            {Scope: auth.ScopeSandboxes},
		"GET /v1/snapshots":               {Scope: auth.ScopeSandboxes, Looks: true},
		"GET /v1/templates/{name}":        {Scope: auth.ScopeTemplates, Looks: true},
		"POST /v1/templates/build":        {Scope: auth.ScopeTemplates},
		"GET /v2/templates":               {Scope: auth.ScopeTemplates, Looks: true},
		"POST /v1/files":                  {Scope: auth.ScopeBatches},
		"GET /v1/batches/{batch}":         {Scope: auth.ScopeBatches, Looks: true},
		"GET /v1/keys":                    {Scope: auth.ScopeKeys, Looks: true},
		"DELETE /v1/me/tokens/{prefix}":   {Scope: auth.ScopeKeys},
		"GET /v1/me":                      {Looks: true},
		"GET /v1/audit":                   {Scope: auth.ScopeAudit, Looks: true},
		"GET /metrics":                    {Scope: auth.ScopeAdmin, Looks: true},
		"GET " + box + "/metrics":         {Scope: auth.ScopeSandboxes, Looks: true},
		"POST /sandboxes/{id}/connect":    {Scope: auth.ScopeSandboxes},
		"GET /v1/filesystem-and-the-like": {Scope: auth.ScopeSandboxes, Looks: true},
	} {
		if got := needOfRow(pattern); got != want {
			t.Errorf("%s needs %+v, want %+v", pattern, got, want)
		}
	}
}

func TestAudited(t *testing.T) {
	for pattern, want := range map[string]bool{
		"POST /v1/sandboxes": true, "GET /v1/sandboxes": false, "GET " + box + "/fs": true, "GET " + box + "/fs/tar": true,
		"GET " + box + "/fs/stat": false, "GET " + box + "/exec/raw": true, "GET /v1/files/{file}/content": true, "GET /v1/keys": false,
	} {
		if got := audited(pattern); got != want {
			t.Errorf("%s is audited: %v", pattern, got)
		}
	}
}
