package e2e

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/host/hosttest"
)

// openApp opens a Brig in this process, over the machine's own templates.
func openApp(t *testing.T, pool int) *app.App {
	t.Helper()
	needPython(t)
	o, err := app.DefaultOptions(os.Getenv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	o.StateDir, o.PoolSize = t.TempDir(), pool
	a, err := app.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func pythonSpec() api.SandboxSpec {
	return api.SandboxSpec{Template: "python", Isolation: api.IsolationAuto, Limits: api.DefaultLimits()}
}

// TestHostContract runs the contract of hosts over real sandboxes.
func TestHostContract(t *testing.T) {
	needPython(t)
	programs := hosttest.Shell()
	programs.Serve = []string{"python3", "-c", echoServer}
	hosttest.Run(t, hosttest.Subject{
		New: func(t *testing.T) host.Host {
			a := openApp(t, 0)
			t.Cleanup(func() { a.Close() }) // after the suite closed the host
			return a.Host
		},
		Spec: pythonSpec(), Language: "sh", Programs: programs,
	})
}

// echoServer serves the port that the contract of hosts asks for.
const echoServer = `
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while b := self.request.recv(65536):
            self.request.sendall(b)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 128
Server(("127.0.0.1", 4321), Echo).serve_forever()
`

func execIn(t *testing.T, box host.Sandbox, spec api.ExecSpec) string {
	t.Helper()
	var out, stderr bytes.Buffer
	r, err := box.Exec(t.Context(), spec, host.Stdio{Stdout: &out, Stderr: &stderr})
	if err != nil || r.Verdict != api.OK {
		t.Fatalf("%v, %s: %s", err, r.Verdict, stderr.String())
	}
	return strings.TrimSpace(out.String())
}

// TestWarmInterpreterEnds: the warm interpreter outlives the program that ran in
// it, but not until the next one.
func TestWarmInterpreterEnds(t *testing.T) {
	a := openApp(t, 0)
	defer a.Close()
	spec := pythonSpec()
	spec.Warm = "python"
	box, err := a.Host.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Put(t.Context(), "/work/run.py", 0o644, strings.NewReader("import os; print(os.getpid())")); err != nil {
		t.Fatal(err)
	}
	pid := execIn(t, box, api.ExecSpec{Script: "/work/run.py", Language: "python"})
	left := execIn(t, box, api.ExecSpec{Argv: []string{"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do [ -e /proc/" + pid + " ] || break; sleep 0.1; done; ls -d /proc/" + pid + " 2>&1 || true"}})
	if !strings.Contains(left, "No such file") {
		t.Errorf("the interpreter with pid %s is still there: %q", pid, left)
	}
}

// TestPooledDrawsDiffer: a pooled sandbox waited, and its interpreter was primed;
// neither may make two of them draw the same numbers.
func TestPooledDrawsDiffer(t *testing.T) {
	a := openApp(t, 2)
	defer a.Close()
	spec := pythonSpec()
	spec.Warm = "python"
	seen, pooled := map[string]bool{}, 0
	for range 8 {
		box, err := a.Host.Create(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if box.Info().Pooled {
			pooled++
		}
		code := "import random, uuid, os, secrets\nprint(random.random(), uuid.uuid4(), os.urandom(8).hex(), secrets.token_hex(8))"
		if err := box.Put(t.Context(), "/work/run.py", 0o644, strings.NewReader(code)); err != nil {
			t.Fatal(err)
		}
		for draw := range strings.FieldsSeq(execIn(t, box, api.ExecSpec{Script: "/work/run.py", Language: "python"})) {
			if seen[draw] {
				t.Errorf("%s was drawn twice", draw)
			}
			seen[draw] = true
		}
		if err := box.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(250 * time.Millisecond)
	}
	if pooled == 0 || len(seen) != 32 {
		t.Errorf("%d sandboxes came from the pool, %d different draws", pooled, len(seen))
	}
}
