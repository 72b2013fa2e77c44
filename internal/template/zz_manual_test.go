package template

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/gvisor"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
	"github.com/brigdev/brig/internal/guest"
)

func TestMain(m *testing.M) {
	sentry.Dispatch()
	os.Exit(m.Run())
}

func TestManual(t *testing.T) {
	dir := os.Getenv("MANUAL")
	if dir == "" {
		t.Skip("manual")
	}
	c, err := Open(t.Context(), dir, Options{Log: slog.Default()})
	must(t, err)
	defer c.Close()
	d, err := gvisor.New(gvisor.Config{StateDir: t.TempDir()})
	must(t, err)
	defer d.Close()
	p, err := c.Resolve(t.Context(), "python")
	if err != nil {
		p, err = c.Build(t.Context(), "python", BuildOptions{}, func(s string) { fmt.Println(s) })
	}
	must(t, err)
	start := time.Now()
	_, err = c.Build(t.Context(), "pynumpy", BuildOptions{From: "python", Warm: []string{"numpy"}}, func(s string) { fmt.Println(s) })
	fmt.Println("pynumpy", time.Since(start), err)
	pn, err := c.Resolve(t.Context(), "pynumpy")
	must(t, err)
	for _, tt := range []Template{p, pn} {
		for _, kind := range []string{OneShot, Session} {
			start := time.Now()
			snap, err := c.Snapshot(t.Context(), tt, d, kind, api.DefaultLimits())
			must(t, err)
			fmt.Println("bake", tt.Name, kind, time.Since(start))
			start = time.Now()
			_, err = c.Snapshot(t.Context(), tt, d, kind, api.DefaultLimits())
			must(t, err)
			fmt.Println("again", time.Since(start))
			for i := range 3 {
				run(t, d, tt, snap, i)
			}
		}
	}
	h, err := c.Resolve(t.Context(), "host")
	must(t, err)
	start = time.Now()
	box, err := d.Create(t.Context(), driver.BoxSpec{ID: "host-x", Hostname: "x", Root: h.Root, Limits: api.DefaultLimits(), Agent: h.Agent, Attached: true})
	must(t, err)
	cl, err := guest.Start(t.Context(), box.Channel(), [64]byte{}, time.Now())
	must(t, err)
	var out bytes.Buffer
	rep, err := cl.Exec(t.Context(), guest.ExecRequest{Cwd: "/work", Argv: []string{"/bin/sh", "-c", "id; ls -la / /etc /work; env; cat /etc/passwd; touch /work/x /tmp/y && echo ok; python3 -c 'print(1)'; perl -e 'print 2'; node -e 'console.log(3)'; bash -c 'echo 4'; date; awk 'BEGIN{print 5}'"}, Env: h.Env}, guest.Streams{Stdout: &out, Stderr: &out})
	fmt.Println(out.String(), rep, err, time.Since(start))
	box.Destroy(t.Context())
}

func run(t *testing.T, d driver.Driver, tt Template, snap string, i int) {
	start := time.Now()
	box, err := d.Create(t.Context(), driver.BoxSpec{ID: fmt.Sprintf("x%d", i), Hostname: "x", Root: tt.Root, Snapshot: snap, Limits: api.DefaultLimits(), Agent: tt.Agent, Attached: true})
	must(t, err)
	defer box.Destroy(t.Context())
	var seed [64]byte
	rand.Read(seed[:])
	cl, err := guest.Start(t.Context(), box.Channel(), seed, time.Now())
	must(t, err)
	must(t, cl.Put(t.Context(), "/work/run.py", 0o644, strings.NewReader("import sys,os,random,uuid,secrets\nprint(random.random(), uuid.uuid4(), secrets.token_hex(4), os.getuid(), len(sys.modules), 'numpy' in sys.modules, 'numpy' in sys.modules and sys.modules['numpy'].random.rand())")))
	var out bytes.Buffer
	rep, err := cl.Exec(t.Context(), guest.ExecRequest{Flags: guest.ExecWarm, Cwd: "/work", Argv: []string{"/work/run.py"}, Env: tt.Env}, guest.Streams{Stdout: &out, Stderr: &out})
	must(t, err)
	fmt.Println(strings.TrimSpace(out.String()), rep.Status, time.Since(start))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenOnly(t *testing.T) {
	c, err := Open(t.Context(), os.Getenv("MANUAL"), Options{Log: slog.Default()})
	must(t, err)
	c.Close()
}
