package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/egress"
	"github.com/brigdev/brig/internal/host"
)

// outside is a pretended internet: one web server behind every address, a few
// names, and what was asked of them.
type outside struct {
	brig   *app.App
	server *httptest.Server

	mu     sync.Mutex
	dialed []string
	events []api.EgressEvent
}

func openOutside(t *testing.T) *outside {
	t.Helper()
	needPython(t)
	w := &outside{server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s at %s", r.URL.Path, r.Host)
	}))}
	t.Cleanup(w.server.Close)
	o, err := app.DefaultOptions(os.Getenv, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.StateDir = t.TempDir()
	o.Egress = egress.Options{Resolve: w.resolve, Dial: w.dial, Audit: w.audit}
	if w.brig, err = app.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.brig.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *outside) resolve(_ context.Context, name string) ([]netip.Addr, error) {
	switch name {
	case "web.example.org":
		return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
	case "inner.example.org":
		return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

func (w *outside) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dialed = append(w.dialed, to.String())
	w.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, "tcp", w.server.Listener.Addr().String())
}

func (w *outside) audit(e api.EgressEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// python runs a program in a sandbox with a network and gives what it printed.
func (w *outside) python(t *testing.T, spec api.SandboxSpec, program string) string {
	t.Helper()
	spec.Template, spec.Limits = "python", api.DefaultLimits()
	box, err := w.brig.Host.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := box.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	return runPython(t, box, program)
}

func runPython(t *testing.T, box host.Sandbox, program string) string {
	t.Helper()
	if err := box.Put(t.Context(), "run.py", 0o644, strings.NewReader(egressPrelude+program)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	limits := api.DefaultLimits()
	res, err := box.Exec(t.Context(), api.ExecSpec{
		Script: "/work/run.py", Language: "python", Timeout: limits.Timeout, OutputBytes: limits.OutputBytes,
	}, host.Stdio{Stdout: &out, Stderr: &out})
	if err != nil || res.Verdict != api.OK {
		t.Fatalf("%+v %v: %s", res, err, &out)
	}
	return out.String()
}

const egressPrelude = `
import socket, urllib.request
def get(url): return urllib.request.urlopen(url, timeout=20).read().decode()
def fails(f, *a):
    try: return "REACHED %r: %r" % (a, f(*a))
    except OSError as e: return "refused"
def connect(host, port): return socket.create_connection((host, port), timeout=20)
`

// TestEgress is the whole way: a program in a gVisor sandbox, restored from a
// snapshot without a network, reaches what is allowed and nothing else.
func TestEgress(t *testing.T) {
	w := openOutside(t)
	for name, spec := range map[string]api.SandboxSpec{"cold": {}, "restored": {Warm: "python"}, "session": {Session: true}} {
		t.Run(name, func(t *testing.T) {
			w.dialed, w.events = nil, nil
			spec.Egress = &api.Egress{Allow: []string{"web.example.org", "inner.example.org", "93.184.216.99:8080"}}
			got := w.python(t, spec, `
print(get("http://web.example.org/one"))
print(get("http://93.184.216.99:8080/two"))
for url in "http://evil.example.com/", "http://inner.example.org/", "http://93.184.216.34.nip.example/":
    print(fails(get, url))
for to in ("93.184.216.35", 80), ("169.254.169.254", 80), ("10.0.0.1", 80), ("198.18.0.1", 80), ("93.184.216.99", 22), ("8.8.8.8", 53):
    print(fails(connect, *to))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(0.2); u.sendto(b"x" * 30, ("8.8.8.8", 53))
print(fails(u.recv, 10))
print(fails(socket.create_connection, ("2606:4700::1", 80), 5))
`)
			lines := strings.Split(strings.TrimSpace(got), "\n")
			if lines[0] != "/one at web.example.org" || lines[1] != "/two at 93.184.216.99:8080" {
				t.Errorf("allowed: %q", lines[:2])
			}
			for _, l := range lines[2:] {
				if l != "refused" {
					t.Error(l)
				}
			}
			if len(lines) != 13 {
				t.Errorf("%d lines: %q", len(lines), lines)
			}
			if d := strings.Join(w.dialed, " "); d != "93.184.216.34:80 93.184.216.99:8080" {
				t.Errorf("dialed %s", d)
			}
			if len(w.events) == 0 || w.events[0].Sandbox == "" {
				t.Errorf("audit: %+v", w.events)
			}
		})
	}
}

// TestNoEgress holds that there is no device but loopback unless one was asked for.
func TestNoEgress(t *testing.T) {
	w := openOutside(t)
	for name, e := range map[string]*api.Egress{"nil": nil, "empty": {}, "none": {Mode: api.EgressNone}} {
		got := w.python(t, api.SandboxSpec{Warm: "python", Egress: e}, `
print(sorted(l.split(":")[0].strip() for l in open("/proc/net/dev").readlines()[2:]))
print(fails(get, "http://web.example.org/"), fails(connect, "93.184.216.34", 80))
`)
		if got != "['lo']\nrefused refused\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if len(w.dialed)+len(w.events) > 0 {
		t.Errorf("dialed %v, events %v", w.dialed, w.events)
	}
}

// TestEgressAfterFork holds that a snapshot of a sandbox with a network restores
// with another one's, or with none, and that the parent's connections go on.
func TestEgressAfterFork(t *testing.T) {
	w := openOutside(t)
	l := api.DefaultLimits()
	with := &api.Egress{Allow: []string{"web.example.org"}}
	box, err := w.brig.Host.Create(t.Context(), api.SandboxSpec{Template: "python", Limits: l, Session: true, Egress: with})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Destroy(context.WithoutCancel(t.Context()))
	if got := runPython(t, box, `print(get("http://web.example.org/parent"))`); got != "/parent at web.example.org\n" {
		t.Fatalf("parent: %q", got)
	}
	dir := t.TempDir()
	goOn := holdConnection(t, box.(host.Session))
	if _, err := box.(host.Session).Snapshot(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if got := goOn(); got != "/held at web.example.org" {
		t.Errorf("the parent's open connection after the snapshot: %s", got)
	}
	for _, tt := range []struct {
		egress *api.Egress
		want   string
	}{
		{with, "/child at web.example.org\n"},
		{nil, "refused\n"},
		{&api.Egress{Allow: []string{"93.184.216.99"}}, "refused\n"},
	} {
		child, err := w.brig.Host.Create(t.Context(), api.SandboxSpec{Template: "python", Limits: l, Session: true, Snapshot: dir, Egress: tt.egress})
		if err != nil {
			t.Fatal(err)
		}
		program := `print(get("http://web.example.org/child"))`
		if tt.want == "refused\n" {
			program = `print(fails(get, "http://web.example.org/child"))`
		}
		if got := runPython(t, child, program); got != tt.want {
			t.Errorf("%+v: %q", tt.egress, got)
		}
		if err := child.Destroy(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got := runPython(t, box, `print(get("http://web.example.org/again"))`); got != "/again at web.example.org\n" {
		t.Errorf("the parent afterwards: %q", got)
	}
}

// holdConnection starts a program that keeps a connection open. The returned
// function has it use that again, and gives what came of it.
func holdConnection(t *testing.T, box host.Session) (use func() string) {
	t.Helper()
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	p, err := box.Start(t.Context(), api.ExecSpec{Argv: []string{"python3", "-c", `
import http.client
c = http.client.HTTPConnection("web.example.org", timeout=20)
def ask():
    try:
        c.request("GET", "/held"); return c.getresponse().read().decode()
    except Exception as e: return repr(e)
print(ask(), flush=True)
input()
print(ask(), flush=True)
`}}, host.Stdio{Stdin: in, Stdout: out, Stderr: out})
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); line != "/held at web.example.org\n" {
		t.Fatalf("%q %v", line, err)
	}
	return func() string {
		if _, err := io.WriteString(stdin, "\n"); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		stdin.Close()
		if _, err := p.Wait(); err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(line)
	}
}

// TestRunAllowEgress is the command line: an address of this host, by name of its
// very address, and what a mistake says.
func TestRunAllowEgress(t *testing.T) {
	needPython(t)
	l := listenOutward(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	program := egressPrelude + fmt.Sprintf("print(get(%q))\nprint(fails(get, 'http://evil.example.com/'))\n", server.URL)
	out := run(t, program, "run", "--template", "python", "--allow-egress", l.Addr().String(), "--code", "-")
	if out.code != 0 || out.stdout != "hello\nrefused\n" || !strings.Contains(out.stderr, "evil.example.com") {
		t.Errorf("%+v", out)
	}
	out = run(t, "", "run", "--allow-egress", "169.254.169.254", "--", "true")
	if out.code != 2 || !strings.Contains(out.stderr, "no sandbox may reach") {
		t.Errorf("%+v", out)
	}
}

// listenOutward listens on an address of this host that is not loopback.
func listenOutward(t *testing.T) net.Listener {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.To4() == nil || n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast() {
			continue
		}
		if l, err := net.Listen("tcp", net.JoinHostPort(n.IP.String(), "0")); err == nil {
			return l
		}
	}
	t.Skip("this host has no IPv4 address but loopback")
	return nil
}
