package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

// session gives this test a server of its own, which its first command starts and
// its end stops, and a sandbox of the python template.
func session(t *testing.T) (id string) {
	t.Helper()
	needPython(t)
	state, err := os.MkdirTemp("", "brig-e2e-") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("BRIG_STATE", state)
	t.Setenv("BRIG_API", "")
	t.Cleanup(func() {
		ctx := context.Background() // the test's has ended
		if out, err := brig(ctx, "serve", "--stop").CombinedOutput(); err != nil {
			t.Errorf("stop the server: %v: %s", err, out)
		}
		if out, err := brig(ctx, "gc", "--dry-run").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "0 would be removed") {
			t.Errorf("something is left: %v: %s", err, out)
		}
		os.RemoveAll(state)
	})
	return ok(t, "sandbox", "create", "--template", "python")
}

// ok runs a command that has to succeed and gives what it printed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	out := run(t, "", args...)
	if out.code != 0 {
		t.Fatalf("brig %s: exit code %d: %s", strings.Join(args, " "), out.code, out.stderr)
	}
	return strings.TrimSpace(out.stdout)
}

func runIn(t *testing.T, id, script string) string {
	t.Helper()
	return ok(t, "sandbox", "exec", id, "--", "sh", "-c", script)
}

// TestSession is the life of a sandbox on the command line.
func TestSession(t *testing.T) {
	id := session(t)
	if got := runIn(t, id, "python3 -c 'print(6 * 7)'"); got != "42" {
		t.Errorf("exec: %q", got)
	}
	if out := run(t, "", "sandbox", "exec", id, "--", "sh", "-c", "kill -9 $$"); out.code != 137 {
		t.Errorf("a killed program: exit code %d", out.code)
	}
	out := run(t, "", "sandbox", "exec", "--timeout", "300ms", id, "--", "sh", "-c", "echo part; setsid sleep 1000 & sleep 1000")
	if out.code != 124 || out.stdout != "part\n" {
		t.Errorf("timeout: %+v", out)
	}
	if got := runIn(t, id, "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done | grep -c '^sleep' || true"); got != "0" {
		t.Errorf("%s programs outlive a timeout", got)
	}

	data := make([]byte, 50<<20)
	rand.Read(data)
	dir := t.TempDir()
	in, back := filepath.Join(dir, "in.bin"), filepath.Join(dir, "back.bin")
	if err := os.WriteFile(in, data, 0o644); err != nil {
		t.Fatal(err)
	}
	ok(t, "sandbox", "cp", in, id+":/work/in.bin")
	ok(t, "sandbox", "cp", id+":in.bin", back)
	same(t, back, data)
	runIn(t, id, "mkdir -p out/deep; cp in.bin out/deep/; echo small > out/small; ln -s /etc/passwd out/link; mkfifo out/fifo")
	ok(t, "sandbox", "cp", id+":out", filepath.Join(dir, "out"))
	same(t, filepath.Join(dir, "out/deep/in.bin"), data)
	for _, name := range []string{"out/link", "out/fifo"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s came out", name)
		}
	}

	ok(t, "sandbox", "pause", id)
	if out := run(t, "", "sandbox", "exec", id, "--", "true"); out.code != 125 || !strings.Contains(out.stderr, "paused") {
		t.Errorf("exec of a paused one: %+v", out)
	}
	ok(t, "sandbox", "resume", id)

	sum := runIn(t, id, "sha256sum < in.bin")
	kids := strings.Fields(ok(t, "fork", id, "-n", "3"))
	if len(kids) != 3 {
		t.Fatalf("children %v", kids)
	}
	names := map[string]bool{}
	for _, kid := range kids {
		names[runIn(t, kid, "hostname; cat /etc/machine-id 2>/dev/null")] = true
		if got := runIn(t, kid, "sha256sum < in.bin"); got != sum {
			t.Errorf("child %s: %s, want %s", kid, got, sum)
		}
	}
	if len(names) != 3 {
		t.Errorf("the children's names: %v", names)
	}
	ok(t, "promote", kids[1])
	if list := ok(t, "sandbox", "ls"); strings.Contains(list, kids[0]) || !strings.Contains(list, kids[1]) || !strings.Contains(list, id) {
		t.Errorf("after the promotion:\n%s", list)
	}

	ok(t, "snapshot", "create", id, "--name", "e2e-"+id)
	runIn(t, id, "rm in.bin")
	later := ok(t, "sandbox", "create", "--from-snapshot", "e2e-"+id)
	if got := runIn(t, later, "sha256sum < in.bin"); got != sum {
		t.Errorf("from the snapshot: %s, want %s", got, sum)
	}
	ok(t, "snapshot", "rm", "e2e-"+id)
	ok(t, "sandbox", "rm", id, kids[1], later)
	var left []api.SandboxInfo
	if err := json.Unmarshal([]byte(ok(t, "ps", "--json")), &left); err != nil {
		t.Fatal(err)
	}
	for _, sb := range left {
		if !sb.Pooled || sb.State == "running" { // one may be kept ready for whoever comes
			t.Errorf("left: %+v", sb)
		}
	}
}

func same(t *testing.T, file string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s: %d bytes that differ (%v)", file, len(got), err)
	}
}

// TestServerKilled: sandboxes die with a server that is killed, a hibernated one
// does not, and the next command says what happened.
func TestServerKilled(t *testing.T) {
	id := session(t)
	asleep := ok(t, "sandbox", "create", "--template", "python")
	runIn(t, asleep, "echo kept > /work/file")
	ok(t, "sandbox", "hibernate", asleep)
	killServer(t)
	list := ok(t, "sandbox", "ls")
	if !strings.Contains(list, "ended: server restarted") || !strings.Contains(list, "hibernated") {
		t.Errorf("after the kill:\n%s", list)
	}
	if out := run(t, "", "sandbox", "exec", id, "--", "true"); out.code != 2 || !strings.Contains(out.stderr, "server restarted") {
		t.Errorf("exec: %+v", out)
	}
	if got := runIn(t, asleep, "cat /work/file"); got != "kept" {
		t.Errorf("the hibernated one has %q", got)
	}
}
