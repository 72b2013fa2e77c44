package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/httpapi/openapi"
)

var update = flag.Bool("update", false, "write api/openapi.json")

const (
	moduleRoot   = "../.."
	documentFile = moduleRoot + "/api/openapi.json"
)

// TestOpenAPI wants every row of the table described that is served, every description to be of a
// row, and the document that is checked in, and served, to be theirs. With -update
// it is written.
func TestOpenAPI(t *testing.T) {
	ops := operations()
	unserved := unservedRows(t)
	var list []openapi.Operation
	for _, row := range routes() {
		op, ok := ops[row.pattern]
		if !ok || op.id == "" || op.does == "" {
			if !unserved(row.pattern) {
				t.Errorf("%s has no operation, and does not answer that it is not served", row.pattern)
			}
			continue
		}
		delete(ops, row.pattern)
		list = append(list, describeOperation(row, op))
	}
	for pattern := range ops {
		t.Errorf("there is an operation for %s, which is not in the table", pattern)
	}
	if t.Failed() {
		t.FailNow()
	}
	text, err := openapi.Write(document(t), list)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(documentFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, text) {
		t.Errorf("api/openapi.json is out of date: go test ./internal/httpapi -run TestOpenAPI -update")
	}
	if string(old) != api.OpenAPI() {
		t.Errorf("the server has another document than api/openapi.json")
	}
}

// unservedRows tells whether all that a row says is that it is not served.
func unservedRows(t *testing.T) func(pattern string) bool {
	server := New(Config{Sandboxes: controltest.New(t).Service})
	t.Cleanup(func() { server.Close() })
	handler := server.Handler(true)
	return func(pattern string) bool {
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = http.MethodGet, pattern
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, placeholder.ReplaceAllString(path, "x"), nil))
		return w.Code == http.StatusNotImplemented
	}
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

func describeOperation(row route, op operation) openapi.Operation {
	method, path, found := strings.Cut(row.pattern, " ")
	if !found { // any method
		method, path = http.MethodGet, row.pattern
		if strings.HasSuffix(path, "/mcp") {
			method = http.MethodPost
		}
	}
	return openapi.Operation{
		Method: method, Path: path, ID: op.id, Tag: tagOf(path), Does: op.does, Public: row.access != accessUser,
		Params: op.query.list(), Takes: op.takes, Gives: op.gives, Status: op.status,
	}
}

// tags are the chapters of the document, by what their paths begin with.
func tags() [][2]string {
	return [][2]string{
		{"sandboxes", "Sandboxes and how long they live."},
		{"exec", "Programs, at once or in the background."},
		{"files", "Files inside."},
		{"code", "Interpreter sessions and their cells."},
		{"snapshots", "Moments that are kept, and copies of running sandboxes."},
		{"ports", "What listens inside, reached from outside."},
		{"templates", "What sandboxes are made from."},
		{"batches", "Many items, each in a sandbox of its own."},
		{"mcp", "Tools for language models."},
		{"keys", "Keys, and what was done with them."},
		{"e2b", "The API of E2B's clients. docs/e2b.md says how far it goes."},
		{"server", "The server itself."},
	}
}

func tagOf(path string) string {
	rest, inBox := strings.CutPrefix(path, box+"/")
	rest, _, _ = strings.Cut(rest, "/")
	if inBox {
		switch rest {
		case "exec", "ssh", "processes":
			return "exec"
		case "fs":
			return "files"
		case "code", "repl":
			return "code"
		case "snapshots", "fork", "fork-tree", "promote":
			return "snapshots"
		case "ports", "proxy", "preview", "preview-token":
			return "ports"
		case "mcp":
			return "mcp"
		}
		return "sandboxes"
	}
	for _, t := range [][2]string{
		{"/v1/sandboxes", "sandboxes"}, {"/v1/snapshots", "snapshots"}, {"/v1/templates", "templates"}, {"/v1/repl", "code"},
		{"/v1/batches", "batches"}, {"/v1/files", "batches"}, {"/v1/keys", "keys"}, {"/v1/me", "keys"}, {"/v1/audit", "keys"},
		{"/v1/p/", "ports"}, {"/v1/mcp", "mcp"}, {"/mcp", "mcp"}, {"/v1/", "server"}, {"/healthz", "server"}, {"/readyz", "server"},
		{"/version", "server"}, {"/metrics", "server"}, {"/openapi.json", "server"},
	} {
		if strings.HasPrefix(path, t[0]) {
			return t[1]
		}
	}
	return "e2b"
}

func document(t *testing.T) openapi.Document {
	t.Helper()
	root, err := filepath.Abs(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	return openapi.Document{
		Title: "Brig", Version: "1", Tags: tags(), Error: errorBody{}, Root: root, Module: "github.com/brigdev/brig",
		Does: "Sandboxes for code that nobody has to trust. docs/service.md says what the words mean. " +
			"Fields that are not known are ignored, and every request may have the header X-Request-Id.",
		Types: map[reflect.Type]openapi.Schema{
			reflect.TypeFor[metadata](): {
				"type":                 "object",
				"additionalProperties": openapi.Schema{"type": []string{"string", "number", "boolean"}},
			},
		},
	}
}

// TestOpenAPIHoldsTogether wants every reference to lead somewhere, every component
// to be used, and every parameter of a path to be there.
func TestOpenAPIHoldsTogether(t *testing.T) {
	var doc struct {
		OpenAPI    string                               `json:"openapi"`
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components map[string]map[string]any            `json:"components"`
	}
	if err := json.Unmarshal([]byte(api.OpenAPI()), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || len(doc.Paths) < 40 {
		t.Errorf("version %s, %d paths", doc.OpenAPI, len(doc.Paths))
	}
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				part := strings.Split(strings.TrimPrefix(ref, "#/components/"), "/")
				if len(part) != 2 || doc.Components[part[0]][part[1]] == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
		}
	}
	for _, methods := range doc.Paths {
		for _, op := range methods {
			walk(map[string]any(op))
		}
	}
	for _, kind := range doc.Components {
		walk(kind)
	}
	for name := range maps.Keys(doc.Components["schemas"]) {
		if !used["#/components/schemas/"+name] {
			t.Errorf("nothing refers to %s", name)
		}
	}
	if !slices.Contains(slices.Collect(maps.Keys(doc.Components)), "securitySchemes") {
		t.Error("it does not say how callers are known")
	}
}
