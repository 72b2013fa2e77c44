package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
)

// portRig is a server with a sandbox of ann's that serves HTTP on port 8080.
type portRig struct {
	t        *testing.T
	sandbox  *control.Sandbox
	url      string
	ann, bob string // keys
}

func newPortRig(t *testing.T) *portRig {
	t.Helper()
	keys, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	x := &portRig{t: t}
	for owner, secret := range map[string]*string{"ann": &x.ann, "bob": &x.bob} {
		if _, *secret, err = keys.Mint("", owner, 0); err != nil {
			t.Fatal(err)
		}
	}
	r := controltest.New(t)
	if x.sandbox, err = r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := x.sandbox.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"http", "8080"}}, false); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := x.sandbox.Dial(t.Context(), 8080)
		if err == nil {
			c.Close()
			break
		}
		if api.CodeOf(err) != api.CodeUnavailable {
			t.Fatal(err)
		}
	}
	s := New(Config{Sandboxes: r.Service, Keys: keys})
	server := httptest.NewServer(s.Handler(false))
	x.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// ask sends a request and gives status and body. Headers are "Name: value"; Host is
// the request's.
func (x *portRig) ask(method, path, body string, headers ...string) (int, string, *http.Response) {
	x.t.Helper()
	req, err := http.NewRequestWithContext(x.t.Context(), method, x.url+path, strings.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp
}

func (x *portRig) key(secret string) string { return "Authorization: Bearer " + secret }

func (x *portRig) host(port int) string {
	return fmt.Sprintf("Host: %d-%s.sandboxes.test", port, x.sandbox.ID())
}

func (x *portRig) preview(req string) api.Preview {
	x.t.Helper()
	code, body, _ := x.ask("POST", "/v1/sandboxes/"+x.sandbox.ID()+"/preview-token", req, x.key(x.ann))
	var p api.Preview
	if err := json.Unmarshal([]byte(body), &p); code != http.StatusCreated || err != nil {
		x.t.Fatalf("status %d: %s", code, body)
	}
	return p
}

// TestProxyForms: the same server inside is reached by path, by either pair of
// headers, by host name and by a preview's address; it hears what was asked and none
// of the caller's credentials.
func TestProxyForms(t *testing.T) {
	x := newPortRig(t)
	id := x.sandbox.ID()
	token := x.preview(`{"port":8080}`).Token
	ours := "/v1/sandboxes/" + id + "/proxy/8080"
	for _, tt := range []struct {
		name, path, heard string
		headers           []string
	}{
		{"by path", ours + "/a%2Fb/c?q=1&r=%20", "POST /a%2Fb/c?q=1&r=%20 localhost:8080", []string{x.key(x.ann)}},
		{"its root", ours + "/", "POST / localhost:8080", []string{"X-API-Key: " + x.ann}},
		{"a key in the query", ours + "/x?a=1&access_token=" + x.ann + "&b=2", "POST /x?a=1&b=2 localhost:8080", nil},
		{"by our headers", "/v1/sandboxes", "POST /v1/sandboxes ", []string{x.key(x.ann), "X-Brig-Sandbox: " + id, "X-Brig-Port: 8080"}},
		{"by E2B's headers", "/a//b/../c", "POST /a//b/../c ", []string{x.key(x.ann), "E2b-Sandbox-Id: " + id, "E2b-Sandbox-Port: 8080"}},
		{"by host name", "/healthz", "POST /healthz 8080-" + id + ".sandboxes.test", []string{x.key(x.ann), x.host(8080)}},
		{"headers win", "/y", "POST /y ", []string{x.key(x.ann), x.host(1), "X-Brig-Sandbox: " + id, "X-Brig-Port: 8080"}},
		{"a preview", "/v1/p/" + token + "/z?q", "POST /z?q localhost:8080", nil},
		{"a preview's token in a header", "/z", "POST /z ", []string{x.host(8080), "X-Brig-Preview: " + token}},
		{"in the query", "/z?a&brig_preview=" + token, "POST /z?a ", []string{x.host(8080)}},
		{"in a cookie", "/z", "POST /z ", []string{x.host(8080), "Cookie: a=1; brig_preview=" + token + "; b=2"}},
	} {
		code, body, _ := x.ask("POST", tt.path, "the body", append(tt.headers, "X-Mine: yes")...)
		if code != http.StatusOK || !strings.HasPrefix(body, tt.heard) || !strings.HasSuffix(body, "\nthe body") || !strings.Contains(body, "X-Mine: yes") {
			t.Errorf("%s: status %d, %q; want it to begin with %q", tt.name, code, body, tt.heard)
		}
		for _, secret := range []string{x.ann, token, "X-Brig-", "E2b-"} {
			if strings.Contains(body, secret) {
				t.Errorf("%s: the server inside heard %q: %q", tt.name, secret, body)
			}
		}
		if strings.Contains(tt.name, "cookie") && !strings.Contains(body, "Cookie: a=1; b=2") {
			t.Errorf("%s: other cookies are lost: %q", tt.name, body)
		}
	}
	if _, body, _ := x.ask("GET", "/", "", x.host(8080), "X-Brig-Preview: "+token, "Authorization: Bearer the-app's"); !strings.Contains(body, "Bearer the-app's") {
		t.Errorf("the credentials of the server inside are lost: %q", body)
	}
	if _, _, resp := x.ask("GET", "/?brig_preview="+token, "", x.host(8080)); !strings.HasPrefix(resp.Header.Get("Set-Cookie"), "brig_preview="+token) {
		t.Errorf("a browser is not told to keep the token: %q", resp.Header)
	}
}

// TestPrivatePorts: a port is its owner's, unless it was opened or a preview admits.
func TestPrivatePorts(t *testing.T) {
	x := newPortRig(t)
	id := x.sandbox.ID()
	token := x.preview(`{"port":8080,"paths":["/docs"]}`).Token
	other := x.preview(`{"port":9090}`).Token
	unknown := "Host: 8080-aaaaaa-bbbbbbbbbbbbb.sandboxes.test"
	for _, tt := range []struct {
		name, path string
		want       int
		headers    []string
	}{
		{"nobody", "/", 401, []string{x.host(8080)}},
		{"another owner", "/", 502, []string{x.host(8080), x.key(x.bob)}},
		{"another owner of what is not there", "/", 502, []string{unknown, x.key(x.bob)}},
		{"nobody of what is not there", "/", 502, []string{unknown}},
		{"a preview's path", "/docs/x", 200, []string{x.host(8080), "X-Brig-Preview: " + token}},
		{"beside a preview's path", "/docs/../x", 403, []string{x.host(8080), "X-Brig-Preview: " + token}},
		{"a preview of another port", "/", 403, []string{x.host(8080), "X-Brig-Preview: " + other}},
		{"a wrong traffic token", "/", 403, []string{x.host(8080), "E2b-Traffic-Access-Token: x"}},
		{"beside the path, in the address", "/v1/p/" + token + "/x", 401, nil},
		{"no token", "/v1/p/x/", 401, nil},
		{"without the slash", "/v1/p/" + other, 307, nil},
		{"another owner by path", "/v1/sandboxes/" + id + "/proxy/8080/", 404, []string{x.key(x.bob)}},
		{"nothing listens", "/", 502, []string{x.host(9090), x.key(x.ann)}},
		{"nothing listens, by path", "/v1/sandboxes/" + id + "/proxy/9090/", 502, []string{x.key(x.ann)}},
		{"no port in the path", "/v1/sandboxes/" + id + "/proxy/x/", 400, []string{x.key(x.ann)}},
		{"half of the headers", "/", 400, []string{"X-Brig-Sandbox: " + id}},
		{"no port in the headers", "/", 400, []string{"E2b-Sandbox-Id: " + id, "E2b-Sandbox-Port: http"}},
		{"a machine's name", "/healthz", 200, []string{"Host: 10-0-0-5.pod.test"}},
	} {
		if code, body, _ := x.ask("GET", tt.path, "", tt.headers...); code != tt.want {
			t.Errorf("%s: status %d, want %d: %s", tt.name, code, tt.want, body)
		}
	}
	ports := "/v1/sandboxes/" + id + "/ports"
	if code, body, _ := x.ask("POST", ports, `{"port":8080,"label":"web","public":true}`, x.key(x.ann)); code != http.StatusCreated {
		t.Fatalf("open the port: %d %s", code, body)
	}
	if code, _, _ := x.ask("GET", "/", "", x.host(8080)); code != http.StatusOK {
		t.Errorf("a public port: status %d", code)
	}
	_, body, _ := x.ask("GET", ports, "", x.key(x.ann))
	if want := `[{"port":8080,"label":"web","public":true,"listening":true,"source":"user","proxy_url":"` + x.url + "/v1/sandboxes/" + id + `/proxy/8080/"}]` + "\n"; body != want {
		t.Errorf("the ports are %s, want %s", body, want)
	}
	if code, _, _ := x.ask("DELETE", ports+"/8080", "", x.key(x.ann)); code != http.StatusNoContent {
		t.Errorf("close the port: status %d", code)
	}
	if code, _, _ := x.ask("GET", "/", "", x.host(8080)); code != http.StatusUnauthorized {
		t.Errorf("a port that was closed: status %d", code)
	}
}

// TestProxyUpgrades: what HTTP upgrades to is passed on as it comes.
func TestProxyUpgrades(t *testing.T) {
	x := newPortRig(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(x.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /x HTTP/1.1\r\n%s\r\n%s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", x.host(8080), x.key(x.ann))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", resp, err)
	}
	for _, text := range []string{"one", "two"} {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 3)
		if _, err := io.ReadFull(in, b); err != nil || string(b) != text {
			t.Errorf("said %q and heard %q, %v", text, b, err)
		}
	}
	if _, _, err := websocket.Dial(t.Context(), x.url+"/v1/sandboxes/"+x.sandbox.ID()+"/proxy/8080/", nil); err == nil {
		t.Error("a WebSocket without a key was let through")
	}
}

// TestTunnel: bytes of any protocol, the client's end of them, and the server's.
func TestTunnel(t *testing.T) {
	x := newPortRig(t)
	if _, err := x.sandbox.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"listen", "7000"}}, false); err != nil {
		t.Fatal(err)
	}
	dial := func(port int, key string) (*websocket.Conn, *http.Response, error) {
		path := fmt.Sprintf("/v1/sandboxes/%s/ports/%d/connect", x.sandbox.ID(), port)
		return websocket.Dial(t.Context(), x.url+path, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
	}
	for port, want := range map[int]int{9: http.StatusServiceUnavailable, 70000: http.StatusBadRequest} {
		if _, resp, err := dial(port, x.ann); err == nil || resp.StatusCode != want {
			t.Errorf("port %d: %v, %v; want status %d", port, resp, err, want)
		}
	}
	if _, resp, err := dial(8080, x.bob); err == nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("another owner: %v, %v", resp, err)
	}
	var conn *websocket.Conn
	for conn == nil { // until it listens
		conn, _, _ = dial(7000, x.ann)
	}
	defer conn.CloseNow()
	for _, text := range []string{"hello", ""} {
		if err := conn.Write(t.Context(), websocket.MessageBinary, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, b, err := conn.Read(t.Context()); err != nil || string(b) != "hello" {
		t.Errorf("heard %q, %v", b, err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("after both ends: %v", err)
	}
}

// TestReplyStaysInItsPlace: what the server inside sets for its visitors reaches no
// other one behind the same address.
func TestReplyStaysInItsPlace(t *testing.T) {
	reply := func() *http.Response {
		return &http.Response{Header: http.Header{
			"Set-Cookie": {"a=1; Domain=sandboxes.test; Path=/", "brig_preview=x"},
			"Location":   {"/login"}, "Service-Worker-Allowed": {"/"}, "X-Other": {"kept"},
		}}
	}
	for prefix, want := range map[string]http.Header{
		"":        {"Set-Cookie": {"a=1; Path=/"}, "Location": {"/login"}, "Service-Worker-Allowed": {"/"}, "X-Other": {"kept"}},
		"/v1/p/t": {"Set-Cookie": {"a=1; Path=/v1/p/t/"}, "Location": {"/v1/p/t/login"}, "X-Other": {"kept"}},
	} {
		resp := reply()
		if err := (passage{prefix: prefix}).reply(resp); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(resp.Header); got != fmt.Sprint(want) {
			t.Errorf("below %q: %s, want %s", prefix, got, want)
		}
	}
}

// TestWatchFiles reads the events of a watch.
func TestWatchFiles(t *testing.T) {
	x := newPortRig(t)
	path := "/v1/sandboxes/" + x.sandbox.ID() + "/fs/watch?path="
	if code, _, _ := x.ask("GET", path+"/nowhere", "", x.key(x.ann)); code != http.StatusNotFound {
		t.Errorf("watch what is not there: status %d", code)
	}
	if code, _, _ := x.ask("GET", path+"work", "", x.key(x.ann)); code != http.StatusBadRequest {
		t.Errorf("a relative path: status %d", code)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", x.url+path+"/work&recursive=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+x.ann)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	wants := func(want ...string) {
		t.Helper()
		for _, w := range want {
			for found := false; !found; found = lines.Text() == w {
				if !lines.Scan() {
					t.Fatalf("it ended before %q: %v", w, lines.Err())
				}
			}
		}
	}
	wants("event: ready")
	if code, body, _ := x.ask("PUT", "/v1/sandboxes/"+x.sandbox.ID()+"/fs?path=/work/a/b", "x", x.key(x.ann)); code >= 300 {
		t.Fatalf("put: %d %s", code, body)
	}
	wants("event: change", `data: {"op":"create","name":"a"}`, `data: {"op":"create","name":"a/b"}`)
	if code, _, _ := x.ask("DELETE", "/v1/sandboxes/"+x.sandbox.ID(), "", x.key(x.ann)); code != http.StatusNoContent {
		t.Fatalf("delete: %d", code)
	}
	wants("event: error")
}
