package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/drivertest"
	"github.com/brigdev/brig/internal/guest"
)

// crashDir makes this test binary a Brig that makes a box in that state
// directory, starts a daemon in it, and is killed.
const crashDir = "BRIG_TEST_PROCESS_CRASH"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		crash(dir)
		return
	}
	os.Exit(m.Run())
}

func newDriver(t *testing.T, dir string) *Driver {
	t.Helper()
	d, err := New(Config{StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestContract(t *testing.T) {
	drivertest.Run(t, newDriver(t, t.TempDir()), drivertest.Options{Program: drivertest.Shell, NoBoundary: true})
}

// open makes a box, with its guest greeted.
func open(t *testing.T, d *Driver, spec driver.BoxSpec) (driver.Box, *guest.Client) {
	t.Helper()
	b, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	c, err := guest.Start(t.Context(), b.Channel(), [64]byte{}, time.Now(), guest.Identity{})
	t.Cleanup(func() {
		if err := b.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
		if c != nil {
			c.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, c
}

// shell runs a script to its end and gives what it printed.
func shell(t *testing.T, c *guest.Client, script string) (string, guest.ExitReport) {
	t.Helper()
	var out bytes.Buffer
	req := guest.ExecRequest{Cwd: api.WorkDir, Argv: []string{"/bin/sh", "-c", script}, Env: map[string]string{"PATH": "/usr/bin:/bin"}}
	report, err := c.Exec(t.Context(), req, guest.Streams{Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String()), report
}

// daemon starts a process that leaves its parent, session, directory and
// environment, and prints its pid once it runs.
const daemon = `mkfifo pid
(cd / && exec env -i setsid sh -c 'echo $$ > "$0"; exec sleep 1000 >/dev/null 2>&1' "$OLDPWD/pid") & cat pid`

// gone waits for a process that was killed to be no more than a zombie.
func gone(t *testing.T, pid string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !zombie(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %s lives", pid)
		}
	}
}

func TestDestroyKillsDaemons(t *testing.T) {
	d := newDriver(t, t.TempDir())
	b, c := open(t, d, driver.BoxSpec{ID: "a", Attached: true})
	pid, report := shell(t, c, daemon)
	if _, err := strconv.Atoi(pid); err != nil || report.Status != 0 || zombie(pid) {
		t.Fatalf("the daemon does not run: %q, %+v", pid, report)
	}
	if err := b.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

// TestLeftBehindMayPrint: what a program leaves in the background keeps its
// stdout, and is neither killed nor stopped by printing after the program's end.
func TestLeftBehindMayPrint(t *testing.T) {
	_, c := open(t, newDriver(t, t.TempDir()), driver.BoxSpec{ID: "a"})
	shell(t, c, `mkfifo go done; (read x <go; head -c 4194304 /dev/zero; head -c 4194304 /dev/zero >&2; echo $? >done) &`)
	if out, _ := shell(t, c, "echo >go; timeout 30 cat done"); out != "0" {
		t.Errorf("what was left behind ended with %q", out)
	}
}

// TestPutIntoFIFO: the guest neither waits for a FIFO's other end nor writes to it.
func TestPutIntoFIFO(t *testing.T) {
	_, c := open(t, newDriver(t, t.TempDir()), driver.BoxSpec{ID: "a"})
	shell(t, c, `mkfifo idle read; sleep 30 <>read & echo $! >pid`)
	for _, name := range []string{"idle", "read"} {
		if err := c.Put(t.Context(), api.WorkDir+"/"+name, 0o644, strings.NewReader("x")); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("put into %s: %v, want EINVAL", name, err)
		}
	}
	if out, _ := shell(t, c, "kill $(cat pid); echo lives"); out != "lives" {
		t.Errorf("stdout %q", out)
	}
}

// TestNoSuchDirectory: what cannot be run says whether the program or its
// directory is missing.
func TestNoSuchDirectory(t *testing.T) {
	_, c := open(t, newDriver(t, t.TempDir()), driver.BoxSpec{ID: "a"})
	for cwd, want := range map[string]string{
		api.WorkDir + "/none": "brig: cannot run in /work/none: not found",
		api.WorkDir + "/file": "brig: cannot run in /work/file: it is no directory",
		api.WorkDir:           "brig: cannot run nothing: not found",
	} {
		shell(t, c, "touch file")
		var out bytes.Buffer
		if _, err := c.Exec(t.Context(), guest.ExecRequest{Cwd: cwd, Argv: []string{"nothing"}}, guest.Streams{Stderr: &out}); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(out.String()); got != want {
			t.Errorf("in %s: %q, want %q", cwd, got, want)
		}
	}
}

// TestOtherBoxesLive destroys one box of two, and one of an unrelated driver
// with the same id.
func TestOtherBoxesLive(t *testing.T) {
	d, other := newDriver(t, t.TempDir()), newDriver(t, t.TempDir())
	_, c := open(t, d, driver.BoxSpec{ID: "a"})
	_, elsewhere := open(t, other, driver.BoxSpec{ID: "b"})
	victim, _ := open(t, d, driver.BoxSpec{ID: "b"})
	if err := victim.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*guest.Client{c, elsewhere} {
		if out, _ := shell(t, c, "echo lives"); out != "lives" {
			t.Errorf("stdout %q", out)
		}
	}
}

func TestStubbornDirectories(t *testing.T) {
	d := newDriver(t, t.TempDir())
	b, c := open(t, d, driver.BoxSpec{ID: "a"})
	shell(t, c, "mkdir -p x/y/z && ln -s / x/root && touch x/y/z/f && chmod 0 x/y/z x/y x .")
	if err := b.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(d.dir); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}

// TestOpenUp needs no ordinary user: what it does shows in the modes.
func TestOpenUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "box")
	outside := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "a"), 0o700), os.Symlink(outside, filepath.Join(dir, "a", "link")),
		os.Chmod(filepath.Join(dir, "a"), 0), os.Chmod(dir, 0), os.Chmod(outside, 0o750),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	openUp(dir)
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "a"): 0o700, outside: 0o750} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, fi, err)
		}
	}
}

func TestLimits(t *testing.T) {
	d := newDriver(t, t.TempDir())
	_, c := open(t, d, driver.BoxSpec{ID: "a", Limits: api.Limits{MemoryBytes: 64 << 20, DiskBytes: 1 << 20}})
	if out, _ := shell(t, c, "ulimit -d; ulimit -c"); out != "65536\n0" {
		t.Errorf("limits %q", out)
	}
	_, report := shell(t, c, "exec head -c 2000000 /dev/zero > big")
	if syscall.Signal(report.Status&0x7f) != syscall.SIGXFSZ {
		t.Errorf("a file above the limit: status %#x", report.Status)
	}
}

func TestNothingOfTheHostsIsHandedOn(t *testing.T) {
	t.Setenv("BRIG_TEST_SECRET", "1")
	inherited, err := unix.Open("/", unix.O_RDONLY, 0) // without CLOEXEC, as if inherited
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	_, c := open(t, newDriver(t, t.TempDir()), driver.BoxSpec{ID: "a"})
	if out, _ := shell(t, c, "tr '\\0' '\\n' < /proc/$PPID/environ"); out != "" {
		t.Errorf("the agent's environment: %q", out)
	}
	if out, _ := shell(t, c, "ls /proc/self/fd | xargs"); out != "0 1 2 3" {
		t.Errorf("a program's descriptors: %s", out)
	}
}

func TestBadIDs(t *testing.T) {
	d := newDriver(t, t.TempDir())
	for _, id := range []string{"", ".", "..", "../x", "a/b", "A", strings.Repeat("a", 41)} {
		if _, err := d.Create(t.Context(), driver.BoxSpec{ID: id}); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("create %q: %v", id, err)
		}
		if err := d.Destroy(t.Context(), driver.Handle{ID: id}); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("destroy %q: %v", id, err)
		}
	}
}

func TestSameIDTwice(t *testing.T) {
	d := newDriver(t, t.TempDir())
	_, c := open(t, d, driver.BoxSpec{ID: "a"})
	if _, err := d.Create(t.Context(), driver.BoxSpec{ID: "a"}); api.CodeOf(err) != api.CodeConflict || api.FixOf(err) == "" {
		t.Errorf("error %v", err)
	}
	if out, _ := shell(t, c, "echo lives"); out != "lives" {
		t.Errorf("the first box: %q", out)
	}
}

// TestCrash kills a Brig with a box that holds a daemon. A later Brig finds the
// box by what is left of it and removes it.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	agent, _ := lines.ReadString('\n')
	pid, err := lines.ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	agent, pid = strings.TrimSpace(agent), strings.TrimSpace(pid)
	gone(t, agent) // with its maker, because it was attached
	if zombie(pid) {
		t.Fatal("the daemon ended: it cannot show what Destroy does")
	}

	d := newDriver(t, dir)
	left, err := d.Leftovers(t.Context())
	if err != nil || len(left) != 1 || left[0] != "crashed" {
		t.Fatalf("leftovers %v, %v", left, err)
	}
	for range 2 {
		if err := d.Destroy(t.Context(), driver.Handle{ID: left[0]}); err != nil {
			t.Fatal(err)
		}
	}
	gone(t, pid)
	if left, _ := d.Leftovers(t.Context()); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// crash prints the agent's pid and a daemon's, and waits to be killed.
func crash(dir string) {
	d, err := New(Config{StateDir: dir})
	if err != nil {
		panic(err)
	}
	b, err := d.Create(context.Background(), driver.BoxSpec{ID: "crashed", Attached: true})
	if err != nil {
		panic(err)
	}
	c, err := guest.Start(context.Background(), b.Channel(), [64]byte{}, time.Now(), guest.Identity{})
	if err != nil {
		panic(err)
	}
	req := guest.ExecRequest{Cwd: api.WorkDir, Argv: []string{"/bin/sh", "-c", "echo $PPID\n" + daemon}, Env: map[string]string{"PATH": "/usr/bin:/bin"}}
	if _, err := c.Exec(context.Background(), req, guest.Streams{Stdout: os.Stdout}); err != nil {
		panic(err)
	}
	<-c.Done()
}

func TestMarks(t *testing.T) {
	a, b := mark("/state/process/a"), mark("/state/process/b")
	if a == b || a == unix.RLIM_INFINITY {
		t.Errorf("marks %x and %x", a, b)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := setMark(cmd.Process.Pid, a); err != nil {
		t.Fatal(err)
	}
	if err := killMarked(t.Context(), b); err != nil || !hasMark(cmd.Process.Pid, a) {
		t.Errorf("another box's end: %v", err)
	}
	if err := killMarked(t.Context(), a); err != nil {
		t.Error(err)
	}
	gone(t, strconv.Itoa(cmd.Process.Pid))
}
