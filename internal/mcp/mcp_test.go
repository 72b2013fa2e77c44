package mcp_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/httpapi"
	"github.com/brigdev/brig/internal/mcp"
)

// rig is a server with a key for each of two owners.
type rig struct {
	*controltest.Rig
	url      string
	ann, bob string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Rig: controltest.New(t)}
	for owner, secret := range map[string]*string{"ann": &r.ann, "bob": &r.bob} {
		if _, *secret, err = keys.Mint("", owner, 0); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(httpapi.New(httpapi.Config{Sandboxes: r.Service, Keys: keys, Version: "test"}).Handler(false))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// keyed adds a key to every request.
type keyed string

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(k))
	return http.DefaultTransport.RoundTrip(r)
}

// overHTTP is a caller of the streamable HTTP transport.
func (r *rig) overHTTP(t *testing.T, path, key string) (*sdk.ClientSession, error) {
	t.Helper()
	c := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil)
	session, err := c.Connect(t.Context(), &sdk.StreamableClientTransport{
		Endpoint: r.url + path, HTTPClient: &http.Client{Transport: keyed(key)}, MaxRetries: -1, DisableStandaloneSSE: true,
	}, nil)
	if err == nil {
		t.Cleanup(func() { session.Close() })
	}
	return session, err
}

// overStreams is a caller of a Server that runs on a pair of streams.
func (r *rig) overStreams(t *testing.T, key string) *sdk.ClientSession {
	t.Helper()
	c, err := client.New(r.url, key)
	if err != nil {
		t.Fatal(err)
	}
	toServer, fromClient := io.Pipe()
	toClient, fromServer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- mcp.New("test", slog.New(slog.DiscardHandler)).Run(context.Background(), c, toServer, fromServer)
	}()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), &sdk.IOTransport{Reader: toClient, Writer: fromClient}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		session.Close()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return session
}

// use calls a tool and gives its structured content.
func use(t *testing.T, s *sdk.ClientSession, tool string, args map[string]any) map[string]any {
	t.Helper()
	res, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if res.IsError {
		t.Fatalf("%s: %s", tool, res.Content[0].(*sdk.TextContent).Text)
	}
	b, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// refused calls a tool that has to fail, and gives what it says.
func refused(t *testing.T, s *sdk.ClientSession, tool string, args map[string]any) string {
	t.Helper()
	res, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return err.Error()
	}
	if !res.IsError {
		t.Fatalf("%s did not fail: %v", tool, res.StructuredContent)
	}
	return res.Content[0].(*sdk.TextContent).Text
}

func toolNames(t *testing.T, s *sdk.ClientSession) []string {
	t.Helper()
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		if tool.Description == "" || tool.InputSchema == nil || tool.OutputSchema == nil || tool.Annotations == nil {
			t.Errorf("%s does not describe itself: %+v", tool.Name, tool)
		}
	}
	slices.Sort(names)
	return names
}

// TestTools does what a model does with a sandbox, over both transports.
func TestTools(t *testing.T) {
	r := newRig(t)
	web, err := r.overHTTP(t, "/mcp", r.ann)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*sdk.ClientSession{"http": web, "streams": r.overStreams(t, r.ann)} {
		t.Run(name, func(t *testing.T) { testTools(t, r, s) })
	}
}

func testTools(t *testing.T, r *rig, s *sdk.ClientSession) {
	want := []string{"create_sandbox", "destroy_sandbox", "exec", "fork_sandbox", "list_files", "list_sandboxes", "read_file", "run_code", "write_file"}
	if got := toolNames(t, s); !slices.Equal(got, want) {
		t.Errorf("tools %v, want %v", got, want)
	}
	id := use(t, s, "create_sandbox", map[string]any{"template": "fake", "ttl_seconds": 60, "metadata": map[string]any{"item": 7, "job": "x"}})["sandbox_id"]
	if got := use(t, s, "exec", map[string]any{"sandbox_id": id, "command": "echo out\nstderr err\nexit 3"}); got["stdout"] != "out\n" || got["stderr"] != "err\n" || got["exit_code"] != 3.0 || got["verdict"] != "nonzero" {
		t.Errorf("exec: %v", got)
	}
	use(t, s, "write_file", map[string]any{"sandbox_id": id, "path": "/work/a/b.txt", "text": "héllo"})
	if got := use(t, s, "read_file", map[string]any{"sandbox_id": id, "path": "/work/a/b.txt"}); got["text"] != "héllo" || got["size"] != 6.0 {
		t.Errorf("read: %v", got)
	}
	if got := use(t, s, "read_file", map[string]any{"sandbox_id": id, "path": "/work/a/b.txt", "offset": 1, "length": 2}); got["text"] != "é" || got["bytes"] != 2.0 {
		t.Errorf("read a part: %v", got)
	}
	if got := use(t, s, "list_files", map[string]any{"sandbox_id": id, "path": "/work/a"})["entries"].([]any); len(got) != 1 {
		t.Errorf("list: %v", got)
	}
	use(t, s, "run_code", map[string]any{"sandbox_id": id, "code": "set x 5"})
	if got := use(t, s, "run_code", map[string]any{"sandbox_id": id, "code": "get x"})["results"].([]any); len(got) != 1 || got[0].(map[string]any)["text/plain"] != "5" {
		t.Errorf("cell: %v", got)
	}
	if got := use(t, s, "run_code", map[string]any{"sandbox_id": id, "code": "raise"})["error"].(map[string]any); got["name"] != "ValueError" {
		t.Errorf("an exception: %v", got)
	}
	children := use(t, s, "fork_sandbox", map[string]any{"sandbox_id": id, "count": 2})["sandboxes"].([]any)
	if len(children) != 2 || children[0].(map[string]any)["parent_id"] != id {
		t.Errorf("fork: %v", children)
	}
	if got := use(t, s, "list_sandboxes", nil)["sandboxes"].([]any); len(got) != 3 {
		t.Errorf("%d sandboxes are listed", len(got))
	}
	for _, sb := range append(children, map[string]any{"sandbox_id": id}) {
		use(t, s, "destroy_sandbox", map[string]any{"sandbox_id": sb.(map[string]any)["sandbox_id"]})
	}
	if got := refused(t, s, "exec", map[string]any{"sandbox_id": id, "command": "true"}); !strings.Contains(got, "cannot") {
		t.Errorf("after its end: %s", got)
	}
	if got := refused(t, s, "exec", map[string]any{"command": "true"}); !strings.Contains(got, "sandbox_id") {
		t.Errorf("without a sandbox: %s", got)
	}
	if n := r.Living(); n != 0 {
		t.Errorf("%d sandboxes are left", n)
	}
}

// TestOneSnippet: without a sandbox, one is made and goes away.
func TestOneSnippet(t *testing.T) {
	r := newRig(t)
	s := r.overStreams(t, r.ann)
	got := refused(t, s, "run_code", map[string]any{"code": "get x"})
	if !strings.Contains(got, "template") { // the rig has one that has to be named
		t.Errorf("without a template: %s", got)
	}
	if n := r.Living(); n != 0 {
		t.Errorf("%d sandboxes are left", n)
	}
}

// TestOneSandbox: a server of one sandbox has no tools about others, and another
// owner has no such server.
func TestOneSandbox(t *testing.T) {
	r := newRig(t)
	sb, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.overHTTP(t, "/v1/sandboxes/"+sb.ID()+"/mcp", r.ann)
	if err != nil {
		t.Fatal(err)
	}
	if got := toolNames(t, s); slices.Contains(got, "create_sandbox") || !slices.Contains(got, "exec") {
		t.Errorf("tools %v", got)
	}
	if got := use(t, s, "exec", map[string]any{"command": "echo here"}); got["stdout"] != "here\n" {
		t.Errorf("exec: %v", got)
	}
	for _, key := range []string{r.bob, "brig_wrong"} {
		if _, err := r.overHTTP(t, "/v1/sandboxes/"+sb.ID()+"/mcp", key); err == nil {
			t.Errorf("the key %q is served", key)
		}
	}
	bob, err := r.overHTTP(t, "/v1/mcp", r.bob)
	if err != nil {
		t.Fatal(err)
	}
	if got := refused(t, bob, "exec", map[string]any{"sandbox_id": sb.ID(), "command": "true"}); !strings.Contains(got, "there is none") {
		t.Errorf("another owner: %s", got)
	}
}
