package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/snapshot"
)

func openStore(t *testing.T) *snapshot.Store {
	t.Helper()
	s, err := snapshot.Open(t.TempDir(), snapshot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// sessionSpec is a sandbox of the python template that lives longer than a program.
func sessionSpec() api.SandboxSpec {
	s := pythonSpec()
	s.Session, s.TTL = true, time.Hour
	return s
}

func newSession(t *testing.T, a *app.App, spec api.SandboxSpec) host.Session {
	t.Helper()
	box, err := a.Host.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return box.(host.Session)
}

// keepMoment takes a snapshot; parent is the snapshot that the sandbox came from.
func keepMoment(t *testing.T, store *snapshot.Store, box host.Session, parent string) api.Snapshot {
	t.Helper()
	m, err := store.Create(t.Context(), func(dir string) (api.Snapshot, error) {
		info := box.Info()
		paused, err := box.Snapshot(t.Context(), dir)
		return api.Snapshot{
			Sandbox: info.ID, Parent: parent, Template: info.Template, Digest: info.Digest, Driver: info.Driver,
			Key: box.SnapshotKey(), Limits: info.Limits, PausedMS: paused.Milliseconds(),
		}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// restore makes a sandbox of a moment, which is checked before.
func restore(ctx context.Context, a *app.App, store *snapshot.Store, m api.Snapshot, env map[string]string) (host.Session, error) {
	dir, release, err := store.Use(ctx, m.ID, snapshot.Need{Driver: m.Driver, Key: m.Key, Digest: m.Digest})
	if err != nil {
		return nil, err
	}
	defer release()
	spec := sessionSpec()
	spec.Snapshot, spec.Limits, spec.Env = dir, m.Limits, env
	box, err := a.Host.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return box.(host.Session), nil
}

// counter holds a number in memory and in a file; each line that it reads makes
// both one more, and it prints them.
const counter = `
import sys
n, held = 0, bytearray(b"x" * 1000000)
for line in sys.stdin:
    n += 1
    held[n] = n % 256
    open("/work/count", "w").write(str(n))
    print(n, sum(held[1:n + 1]) - sum(i % 256 for i in range(1, n + 1)), flush=True)
`

// counting is a counter that runs in a sandbox.
type counting struct {
	process host.Process
	in      *io.PipeWriter
	out     *bufio.Reader
	outEnd  *io.PipeWriter
}

func (c *counting) streams() host.Stdio {
	inEnd, in := io.Pipe()
	out, outEnd := io.Pipe()
	c.in, c.out, c.outEnd = in, bufio.NewReader(out), outEnd
	return host.Stdio{Stdin: inEnd, Stdout: outEnd}
}

var counterSpec = api.ExecSpec{Argv: []string{"python3", "-c", counter}, Keep: true, Timeout: time.Hour}

// count has it count, and checks that it has lost nothing.
func (c *counting) count(t *testing.T, box host.Session, want int) {
	t.Helper()
	if _, err := io.WriteString(c.in, "next\n"); err != nil {
		t.Fatal(err)
	}
	line, err := c.out.ReadString('\n')
	if err != nil || line != fmt.Sprintf("%d 0\n", want) {
		t.Fatalf("it counts %q, %v, want %d", line, err, want)
	}
	var file strings.Builder
	if _, err := box.Read(t.Context(), "/work/count", 0, -1, &file); err != nil || file.String() != fmt.Sprint(want) {
		t.Fatalf("the file has %q, %v, want %d", file.String(), err, want)
	}
}

// stop ends the counter, and waits for it.
func (c *counting) stop() {
	_ = c.process.Signal(context.Background(), syscall.SIGKILL, true)
	_, _ = c.process.Wait()
	c.in.Close()
	c.outEnd.Close()
}

func startCounting(t *testing.T, box host.Session) *counting {
	t.Helper()
	c := &counting{}
	var err error
	if c.process, err = box.Start(t.Context(), counterSpec, c.streams()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPauseResumeLosesNothing(t *testing.T) {
	a := openApp(t, 0)
	defer a.Close()
	box := newSession(t, a, sessionSpec())
	c := startCounting(t, box)
	defer c.stop()
	cycles := 20
	if soak {
		cycles = 1000
	}
	for i := range cycles {
		if err := box.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := box.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.count(t, box, i+1)
	}
}

// TestSnapshotRestoreLosesNothing has a program go through generations of
// sandboxes, each restored from the one before.
func TestSnapshotRestoreLosesNothing(t *testing.T) {
	a := openApp(t, 0)
	defer a.Close()
	store := openStore(t)
	generations := 5
	if soak {
		generations = 500
	}
	box := newSession(t, a, sessionSpec())
	c := startCounting(t, box)
	var m api.Snapshot
	for i := range generations {
		c.count(t, box, i+1)
		older := m.ID
		m = keepMoment(t, store, box, older)
		pid := c.process.PID()
		c.stop()
		if err := box.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if older != "" { // a child shares no file with it
			if err := store.Remove(t.Context(), older); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if box, err = restore(t.Context(), a, store, m, nil); err != nil {
			t.Fatalf("generation %d: %v", i, err)
		}
		c = &counting{}
		if c.process, err = box.Attach(t.Context(), pid, counterSpec, c.streams()); err != nil {
			t.Fatalf("generation %d: %v", i, err)
		}
	}
	c.count(t, box, generations+1)
	c.stop()
}
