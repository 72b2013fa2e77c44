package httpapi_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/brigdev/brig/api"
)

// document is the OpenAPI document as far as the test needs it.
type document struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas json.RawMessage `json:"schemas"`
	} `json:"components"`
}

// schema is that of an answer.
func (d document) schema(t *testing.T, method, path, status string) *jsonschema.Resolved {
	t.Helper()
	raw := d.Paths[path][method].Responses[status].Content["application/json"].Schema
	if raw == nil {
		t.Fatalf("%s %s: the document has no answer %s", method, path, status)
	}
	text, err := json.Marshal(map[string]any{"$defs": d.Components.Schemas, "allOf": []json.RawMessage{raw}})
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(bytes.ReplaceAll(text, []byte("#/components/schemas/"), []byte("#/$defs/")), &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOpenAPITellsTheTruth: what the server answers is what the document says.
func TestOpenAPITellsTheTruth(t *testing.T) {
	var doc document
	if err := json.Unmarshal([]byte(api.OpenAPI()), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Components.Schemas = closed(t, doc.Components.Schemas)
	r := newRig(t)
	path := r.create()
	r.want("put", r.do("PUT", path+"/fs?path=/work/x", "x"), 200)
	snapshot := r.do("POST", path+"/snapshots", nil).json(t)["id"].(string)
	process := r.do("POST", path+"/processes", map[string]any{"cmd": "true"}).json(t)["id"].(string)
	const box = "/v1/sandboxes/{id}"
	for _, x := range []struct {
		method, at, path string
		body             any
		status           string
	}{
		{"get", box, path, nil, "200"},
		{"post", "/v1/sandboxes", "/v1/sandboxes", map[string]any{"template": "fake", "metadata": map[string]any{"n": 1}, "egress": nil}, "201"},
		{"get", "/v1/sandboxes", "/v1/sandboxes", nil, "200"},
		{"get", box + "/lifecycle", path + "/lifecycle", nil, "200"},
		{"patch", box + "/lifecycle", path + "/lifecycle", map[string]any{"ttl_seconds": 60}, "200"},
		{"get", box + "/events", path + "/events", nil, "200"},
		{"get", box + "/stats", path + "/stats", nil, "200"},
		{"post", box + "/exec", path + "/exec", map[string]any{"cmd": "echo x\nexit 3"}, "200"},
		{"get", box + "/processes", path + "/processes", nil, "200"},
		{"get", box + "/processes/{process}", path + "/processes/" + process + "?wait=1", nil, "200"},
		{"put", box + "/fs", path + "/fs?path=/work/y", "y", "200"},
		{"get", box + "/fs/dir", path + "/fs/dir?path=/work", nil, "200"},
		{"get", box + "/fs/stat", path + "/fs/stat?path=/work/x", nil, "200"},
		{"get", "/v1/snapshots", "/v1/snapshots", nil, "200"},
		{"get", "/v1/snapshots/{snapshot}", "/v1/snapshots/" + snapshot, nil, "200"},
		{"post", box + "/fork", path + "/fork", nil, "201"},
		{"post", box + "/code", path + "/code", map[string]any{"code": "raise"}, "200"},
		{"get", box + "/code/contexts", path + "/code/contexts", nil, "200"},
		{"post", box + "/repl/sessions", path + "/repl/sessions", map[string]any{"language": "python"}, "201"},
		{"post", box + "/repl", path + "/repl", map[string]any{"code": "set x 1"}, "200"},
		{"get", "/v1/templates", "/v1/templates", nil, "200"},
		{"get", "/v1/metrics/overview", "/v1/metrics/overview", nil, "200"},
		{"get", "/v1/stats/boot", "/v1/stats/boot", nil, "200"},
		{"get", "/v1/keys", "/v1/keys", nil, "200"},
		{"get", "/version", "/version", nil, "200"},
	} {
		got := r.do(map[string]string{"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH"}[x.method], x.path, x.body)
		var answer any
		if err := json.Unmarshal(got.body, &answer); err != nil {
			t.Errorf("%s %s: status %d, %v", x.method, x.path, got.status, err)
			continue
		}
		if err := doc.schema(t, x.method, x.at, x.status).Validate(answer); err != nil {
			t.Errorf("%s %s: status %d: %v in %s", x.method, x.at, got.status, err, got.body)
		}
	}
}

// closed has every object refuse what the document does not name.
func closed(t *testing.T, raw json.RawMessage) json.RawMessage {
	t.Helper()
	var all map[string]map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s["properties"] != nil {
			s["additionalProperties"] = false
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
