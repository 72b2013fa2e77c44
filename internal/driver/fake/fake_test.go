package fake

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// open makes a box and greets its guest.
func open(t *testing.T, d *Driver, spec driver.BoxSpec) (driver.Box, *guest.Client) {
	t.Helper()
	b, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	c, err := guest.Start(t.Context(), b.Channel(), [64]byte{1: 7}, time.Now(), guest.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := b.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b, c
}

type ran struct {
	guest.ExitReport
	out, err string
}

func run(t *testing.T, c *guest.Client, stdin string, req guest.ExecRequest) ran {
	t.Helper()
	var out, errs bytes.Buffer
	report, err := c.Exec(t.Context(), req, guest.Streams{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs})
	if err != nil {
		t.Fatalf("%v: %v", req.Argv, err)
	}
	return ran{report, out.String(), errs.String()}
}

func sh(script string) guest.ExecRequest {
	return guest.ExecRequest{Argv: []string{"sh", "-c", script}, Env: map[string]string{"A": "1", "B": "two"}}
}

func TestScripts(t *testing.T) {
	const killed, xcpu = uint32(syscall.SIGKILL), uint32(syscall.SIGXCPU)
	tests := []struct {
		name, script, stdin string
		status              uint32
		out, err            string
	}{
		{name: "nothing", script: ""},
		{name: "comments", script: "# a\n\n  exit 3", status: 3 << 8},
		{name: "output", script: "stdout a b\nstderr c\nstdout $\"d\\xff\"", out: "a b\nd\xff", err: "c\n"},
		{name: "stdin", script: "cat", stdin: strings.Repeat("0123456789", 30_000), out: strings.Repeat("0123456789", 30_000)},
		{name: "env", script: "env\nenv B", out: "A=1\nB=two\ntwo\n"},
		{name: "files", script: "write x {\"a\":1}\ncopy x /d/e/y\nappend /d/e/y !\ncat /d/e/y", out: "{\"a\":1}!"},
		{name: "missing file", script: "cat nope\nstdout never", status: 1 << 8, err: "line 1: cat: no such file or directory\n"},
		{name: "symlink", script: "symlink /etc/passwd l\ncat l", status: 1 << 8, err: "line 2: cat: too many levels of symbolic links\n"},
		{name: "rm", script: "write d/a 1\nrm d\ncat d/a", status: 1 << 8, err: "line 3: cat: no such file or directory\n"},
		{name: "mkdir", script: "mkdir d\ncat d", status: 1 << 8, err: "line 2: cat: is a directory\n"},
		{name: "disk full", script: "fill big 2MiB", status: 1 << 8, err: "line 1: fill: no space left on device\n"},
		{name: "sparse", script: "sparse big 1TiB"},
		{name: "flood", script: "flood 100000", out: strings.Repeat("x", 100_000)},
		{name: "signal", script: "signal 11", status: 11},
		{name: "oom", script: "oom", status: killed},
		{name: "memory", script: "mem 16MiB\nmem 65MiB\nstdout never", status: killed},
		{name: "cpu limit", script: "cpu 1s\ncpu 1s\nstdout never", status: xcpu},
		{name: "spin", script: "cpu 1990ms\nspin", status: xcpu},
		{name: "fork", script: "fork 3\nfork 4", status: 1 << 8, err: "line 2: fork: cannot make 4 processes: resource temporarily unavailable\n"},
		{name: "unknown", script: "import os", status: 127 << 8, err: "line 1: there is no instruction \"import\"\n"},
		{name: "mode", script: "mode\nhostname", out: "cold\nbox\n"},
	}
	d := New(Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, c := open(t, d, driver.BoxSpec{ID: "a", Hostname: "box", Limits: api.Limits{DiskBytes: 1 << 20, MemoryBytes: 64 << 20}})
			req := sh(tt.script)
			req.CPUSeconds, req.NProc = 2, 4
			r := run(t, c, tt.stdin, req)
			if r.Status != tt.status || r.out != tt.out || r.err != tt.err {
				t.Errorf("status %#x, stdout %.80q, stderr %q; want %#x, %.80q, %q", r.Status, r.out, r.err, tt.status, tt.out, tt.err)
			}
		})
	}
}

func TestWhatRuns(t *testing.T) {
	_, c := open(t, New(Options{}), driver.BoxSpec{ID: "a"})
	if err := c.Put(t.Context(), "/work/run.py", 0o644, strings.NewReader("stdout file\nexit 7")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		argv   []string
		status uint32
		out    string
	}{
		{[]string{"python3", "-S", "/work/run.py", "x"}, 7 << 8, "file\n"},
		{[]string{"run.py"}, 7 << 8, "file\n"},
		{[]string{"echo", "a", "b"}, 0, "a b\n"},
		{[]string{"exit 4"}, 4 << 8, ""},
		{[]string{"/bin/nope", "a"}, 127 << 8, ""},
	}
	for _, tt := range tests {
		if r := run(t, c, "", guest.ExecRequest{Argv: tt.argv}); r.Status != tt.status || r.out != tt.out {
			t.Errorf("%v: status %#x, stdout %q; want %#x, %q", tt.argv, r.Status, r.out, tt.status, tt.out)
		}
	}
}

func TestReportsPeaks(t *testing.T) {
	b, c := open(t, New(Options{}), driver.BoxSpec{ID: "a", Limits: api.Limits{DiskBytes: 1 << 20, PIDs: 8}})
	r := run(t, c, "", sh("cpu 30ms\nmem 1MiB\nfork 5\nfill a 1000\nfill b 2MiB"))
	want := guest.ExitReport{Status: 1 << 8, CPUMicros: 30_000, DiskPeak: 1 << 20, DiskLimit: 1 << 20, InodePeak: 4, InodeLimit: maxNodes, TasksPeak: 6}
	if r.ExitReport != want {
		t.Errorf("report %+v, want %+v", r.ExitReport, want)
	}
	u, err := b.(driver.Usager).Usage()
	if want := (driver.Usage{CPU: 30 * time.Millisecond, PeakMemoryBytes: 1 << 20, DiskRefused: 1}); err != nil || u != want {
		t.Errorf("usage %+v, %v; want %+v", u, err, want)
	}
}

func TestWarm(t *testing.T) {
	d := New(Options{})
	for _, forks := range []uint32{0, guest.ExecFork} {
		_, c := open(t, d, driver.BoxSpec{ID: "a"})
		warm := guest.ExecRequest{Flags: guest.ExecWarm, Argv: []string{"/work/run.py"}}
		if _, err := c.Exec(t.Context(), warm, guest.Streams{}); err == nil {
			t.Fatal("a warm exec ran before the warm start")
		}
		start := guest.ExecRequest{Flags: guest.ExecWarmStart | forks, Argv: []string{"python3", "/runner.py"}}
		if _, err := c.Exec(t.Context(), start, guest.Streams{}); err != nil {
			t.Fatal(err)
		}
		if err := c.Put(t.Context(), "/work/run.py", 0o600, strings.NewReader("mode\nwrite left over")); err != nil {
			t.Fatal(err)
		}
		if r := run(t, c, "", warm); r.out != "warm\n" {
			t.Errorf("forks %d: stdout %q", forks, r.out)
		}
		if err := c.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l, err := c.List(t.Context(), "/work", 10); err != nil || len(l) != 0 {
			t.Errorf("after reset: %v, %v", l, err)
		}
		c.Put(t.Context(), "/work/run.py", 0o600, strings.NewReader("exit 2"))
		_, err := c.Exec(t.Context(), warm, guest.Streams{})
		if (err == nil) != (forks != 0) {
			t.Errorf("forks %d: the second warm exec gave %v", forks, err)
		}
		c.Close()
		d.Destroy(t.Context(), driver.Handle{ID: "a"})
	}
}

func TestWarmStartFails(t *testing.T) {
	_, c := open(t, New(Options{}), driver.BoxSpec{ID: "a"})
	req := guest.ExecRequest{Flags: guest.ExecWarmStart, Argv: []string{"sh", "-c", "stderr no numpy\nexit 1"}}
	if r := run(t, c, "", req); r.Status != 1<<8 || r.err != "no numpy\n" {
		t.Errorf("status %#x, stderr %q", r.Status, r.err)
	}
}
