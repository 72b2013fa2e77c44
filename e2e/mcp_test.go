package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestMCP has an agent's client of the protocol use the tools: over the streams of
// 'brig mcp', and over HTTP with a key.
func TestMCP(t *testing.T) {
	s := service(t, "")
	stdio := brig(t.Context(), "mcp")
	stdio.Env = append(stdio.Env, s.env()...)
	stdio.Stderr = os.Stderr
	t.Run("stdio", func(t *testing.T) { useMCP(t, &mcp.CommandTransport{Command: stdio}) })
	t.Run("http", func(t *testing.T) {
		useMCP(t, &mcp.StreamableClientTransport{Endpoint: s.url + "/mcp", HTTPClient: &http.Client{Transport: bearer(s.key)}, DisableStandaloneSSE: true})
	})
	if c, err := mcp.NewClient(&mcp.Implementation{Name: "e2e"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: s.url + "/mcp", MaxRetries: -1}, nil); err == nil {
		c.Close()
		t.Error("a caller without a key is served")
	}
}

// bearer adds a key to every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func useMCP(t *testing.T, transport mcp.Transport) {
	session, err := mcp.NewClient(&mcp.Implementation{Name: "e2e"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	use := func(tool string, args map[string]any) (map[string]any, []mcp.Content) {
		t.Helper()
		res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
		if err != nil {
			t.Fatalf("%s: %v", tool, err)
		}
		if res.IsError {
			t.Fatalf("%s: %+v", tool, res.Content[0])
		}
		out, ok := res.StructuredContent.(map[string]any)
		if !ok {
			t.Fatalf("%s: structured content %T", tool, res.StructuredContent)
		}
		return out, res.Content
	}
	box, _ := use("create_sandbox", map[string]any{"template": "python", "ttl_seconds": 120})
	id := box["sandbox_id"]
	use("run_code", map[string]any{"sandbox_id": id, "code": "x = 41"})
	if cell, _ := use("run_code", map[string]any{"sandbox_id": id, "code": "x + 1"}); cell["results"].([]any)[0].(map[string]any)["text/plain"] != "42" {
		t.Errorf("the cell gave %v", cell)
	}
	use("write_file", map[string]any{"sandbox_id": id, "path": "/work/in.txt", "text": "file"})
	if res, _ := use("exec", map[string]any{"sandbox_id": id, "command": "cat in.txt; exit 3"}); res["stdout"] != "file" || res["exit_code"] != 3.0 {
		t.Errorf("exec gave %v", res)
	}
	png := `import base64; open('/work/dot.png', 'wb').write(base64.b64decode('` + dot + `'))`
	use("run_code", map[string]any{"sandbox_id": id, "code": png})
	_, content := use("read_file", map[string]any{"sandbox_id": id, "path": "/work/dot.png"})
	if image, ok := content[0].(*mcp.ImageContent); !ok || image.MIMEType != "image/png" {
		t.Errorf("an image is shown as %+v", content[0])
	}
	show := `import base64
class Dot:
    def _repr_png_(self): return base64.b64decode('` + dot + `')
Dot()`
	if _, content = use("run_code", map[string]any{"sandbox_id": id, "code": show}); len(content) != 2 {
		t.Errorf("a figure is shown as %d contents", len(content))
	} else if image, ok := content[1].(*mcp.ImageContent); !ok || !strings.HasPrefix(string(image.Data), "\x89PNG") {
		t.Errorf("a figure is shown as %+v", content[1])
	}
	fork, _ := use("fork_sandbox", map[string]any{"sandbox_id": id})
	child := fork["sandboxes"].([]any)[0].(map[string]any)["sandbox_id"]
	if cell, _ := use("run_code", map[string]any{"sandbox_id": child, "code": "x"}); cell["results"].([]any)[0].(map[string]any)["text/plain"] != "41" {
		t.Errorf("the copy's cell gave %v", cell)
	}
	for _, one := range []any{id, child} {
		use("destroy_sandbox", map[string]any{"sandbox_id": one})
	}
	if cell, _ := use("run_code", map[string]any{"code": "print('alone')"}); cell["stdout"] != "alone\n" {
		b, _ := json.Marshal(cell)
		t.Errorf("a single snippet gave %s", b)
	}
	if left, _ := use("list_sandboxes", nil); len(left["sandboxes"].([]any)) != 0 {
		t.Errorf("left: %v", left)
	}
}

// dot is a picture of one pixel.
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
