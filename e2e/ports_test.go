package e2e

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
)

// webApp serves HTTP and WebSockets with nothing but Python's own library.
const webApp = `
import asyncio, base64, hashlib, json

async def serve(reader, writer):
    method, path, _ = (await reader.readline()).decode().split()
    headers = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    if path == "/ws":
        await websocket(reader, writer, headers)
    elif path == "/big":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 << 20))
        for _ in range(1600):
            writer.write(b"x" * 65536)
            await writer.drain()
    elif path == "/events":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\n\n")
        await writer.drain()
        await reader.read(1)  # until the visitor goes away
    else:
        sha, left = hashlib.sha256(), int(headers.get("content-length", "0"))
        while left and (b := await reader.read(min(left, 1 << 16))):
            sha.update(b)
            left -= len(b)
        body = json.dumps({"method": method, "path": path, "sha": sha.hexdigest(), "headers": headers}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()

async def websocket(reader, writer, headers):
    magic = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(magic.encode()).digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while True:
        head = await reader.readexactly(2)
        if head[0] & 15 == 8:
            writer.write(bytes([0x88, 0]))
            return
        n = head[1] & 127
        if n == 126:
            n = int.from_bytes(await reader.readexactly(2), "big")
        mask = await reader.readexactly(4)
        text = bytes(b ^ mask[i % 4] for i, b in enumerate(await reader.readexactly(n)))
        size = bytes([n]) if n < 126 else bytes([126]) + n.to_bytes(2, "big")
        writer.write(bytes([head[0]]) + size + text)
        await writer.drain()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 8080, backlog=256)
    print("ready", flush=True)
    await server.serve_forever()

asyncio.run(main())
`

// web is a sandbox that runs webApp.
type web struct {
	server
	t  *testing.T
	id string
}

func newWeb(t *testing.T) web {
	w := web{server: service(t, ""), t: t}
	var made struct{ ID string }
	w.json("POST", "/v1/sandboxes", `{"template":"python","ttl_seconds":300}`, &made)
	w.id = made.ID
	w.json("PUT", "/v1/sandboxes/"+w.id+"/fs?path=/work/app.py", webApp, nil)
	var process struct{ ID string }
	w.json("POST", "/v1/sandboxes/"+w.id+"/processes", `{"argv":["python3","/work/app.py"]}`, &process)
	resp := w.ask("GET", "/v1/sandboxes/"+w.id+"/processes/"+process.ID+"/output", nil)
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), "cmVhZHkK") { // "ready\n"
			return w
		}
	}
	t.Fatal("the program inside does not get ready")
	return w
}

func (w web) ask(method, path string, body io.Reader, headers ...string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

func (w web) json(method, path, body string, into any) {
	w.t.Helper()
	resp := w.ask(method, path, strings.NewReader(body))
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s %s, %v", method, path, resp.Status, b, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(b, into); err != nil {
		w.t.Fatalf("%s %s: %v in %s", method, path, err, b)
	}
}

// TestPorts reaches a web server in a real sandbox in every way, with large bodies in
// both directions, events as they come, and WebSockets.
func TestPorts(t *testing.T) {
	w := newWeb(t)
	proxy := "/v1/sandboxes/" + w.id + "/proxy/8080"
	host := fmt.Sprintf("Host: 8080-%s.sandboxes.test", w.id)
	var heard struct {
		Method, Path, SHA string
		Headers           map[string]string
	}
	w.json("POST", proxy+"/a%20b?q=1", "x", &heard)
	if heard.Method != "POST" || heard.Path != "/a%20b?q=1" || heard.Headers["authorization"] != "" {
		t.Errorf("the server inside heard %+v", heard)
	}
	var ports []struct {
		Port      int
		Listening bool
		Source    string
	}
	w.json("GET", "/v1/sandboxes/"+w.id+"/ports", "", &ports)
	if len(ports) != 1 || ports[0].Port != 8080 || !ports[0].Listening || ports[0].Source != "detected" {
		t.Errorf("ports %+v", ports)
	}
	var named api.Port
	w.json("POST", "/v1/sandboxes/"+w.id+"/ports", `{"port":8080,"label":"app"}`, &named)
	if !named.Listening || named.Label != "app" {
		t.Errorf("the named port %+v", named)
	}
	var preview struct{ URL string }
	w.json("POST", "/v1/sandboxes/"+w.id+"/preview-token", `{"port":8080}`, &preview)
	if resp, err := http.Get(preview.URL + "x"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the preview: %+v, %v", resp, err)
	}
	t.Run("Large", func(t *testing.T) { w.large(t, host) })
	t.Run("Events", func(t *testing.T) {
		resp := w.ask("GET", "/events", nil, host)
		defer resp.Body.Close()
		if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "data: first\n" {
			t.Errorf("heard %q, %v", line, err)
		}
	})
	t.Run("WebSocket", func(t *testing.T) { w.sockets(t, proxy+"/ws") })
	t.Run("Forward", func(t *testing.T) { w.forward(t) })
	t.Run("Many", func(t *testing.T) { w.many(t, proxy+"/") })
	resp := w.ask("GET", "/", nil, fmt.Sprintf("Host: 9090-%s.sandboxes.test", w.id))
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("where nothing listens: %s", resp.Status)
	}
}

// large passes 100 MB each way.
func (w web) large(t *testing.T, host string) {
	const size = 100 << 20
	began := time.Now()
	resp := w.ask("GET", "/big", nil, host)
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
		t.Errorf("%d bytes of %d, %v", n, size, err)
	}
	down := time.Since(began)
	sum := sha256.New()
	began = time.Now()
	body := io.TeeReader(io.LimitReader(ones{}, size), sum)
	req, err := http.NewRequestWithContext(t.Context(), "PUT", w.url+"/up", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	req.Host = strings.TrimPrefix(host, "Host: ")
	req.Header.Set("Authorization", "Bearer "+w.key)
	up, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Body.Close()
	var heard struct{ SHA string }
	if err := json.NewDecoder(up.Body).Decode(&heard); err != nil || heard.SHA != fmt.Sprintf("%x", sum.Sum(nil)) {
		t.Errorf("what was sent is not what the server inside heard: %+v, %v", heard, err)
	}
	t.Logf("100 MiB down in %s, up in %s", down.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// ones are without end.
type ones struct{}

func (ones) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 1
	}
	return len(b), nil
}

func (w web) sockets(t *testing.T, path string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	header := http.Header{"Authorization": {"Bearer " + w.key}}
	conn, _, err := websocket.Dial(ctx, w.url+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, text := range []string{"hello", strings.Repeat("x", 20_000)} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, b, err := conn.Read(ctx); err != nil || string(b) != text {
			t.Fatalf("said %d letters and heard %d, %v", len(text), len(b), err)
		}
	}
}

// forward has the command line listen here for a port inside.
func (w web) forward(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := brig(ctx, "sandbox", "forward", w.id, "0:8080")
	cmd.Env = append(cmd.Env, w.env()...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + strings.TrimSpace(address) + "/here")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var heard struct{ Path string }
	if err := json.NewDecoder(resp.Body).Decode(&heard); err != nil || heard.Path != "/here" {
		t.Errorf("the server inside heard %+v, %v", heard, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // an interrupt is how it ends
}

// many sends requests one by one, and says how long they took.
func (w web) many(t *testing.T, path string) {
	var took []time.Duration
	for range 200 {
		began := time.Now()
		resp := w.ask("GET", path, nil)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v", resp.Status, err)
		}
		resp.Body.Close()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("a request through the proxy: p50 %s, p95 %s", took[100], took[190])
}

// TestWatchFiles tells what programs do in a real sandbox's directory.
func TestWatchFiles(t *testing.T) {
	w := newWeb(t)
	resp := w.ask("GET", "/v1/sandboxes/"+w.id+"/fs/watch?path=/work&recursive=1", nil)
	defer resp.Body.Close()
	late := time.AfterFunc(time.Minute, func() { resp.Body.Close() })
	defer late.Stop()
	lines := bufio.NewScanner(resp.Body)
	wants := func(want string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("the watch ended before %s: %v", want, lines.Err())
	}
	wants("ready")
	for _, step := range []struct {
		cmd   string
		tells []string
	}{
		{"mkdir -p a/b", []string{`{"op":"create","name":"a"}`, `{"op":"create","name":"a/b"}`}},
		{"echo x > a/b/c", []string{`{"op":"create","name":"a/b/c"}`}},
		{"echo y >> a/b/c; chmod 600 a/b/c", []string{`{"op":"write","name":"a/b/c"}`, `{"op":"chmod","name":"a/b/c"}`}},
		{"mv a/b/c a/d; rm a/d", []string{`{"op":"rename","name":"a/b/c"}`, `{"op":"create","name":"a/d"}`, `{"op":"remove","name":"a/d"}`}},
	} {
		w.json("POST", "/v1/sandboxes/"+w.id+"/exec", `{"cmd":"`+step.cmd+`"}`, nil)
		for _, change := range step.tells {
			wants(change)
		}
	}
}
