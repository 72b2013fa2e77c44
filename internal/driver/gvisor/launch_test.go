package gvisor

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLaunch starts a shell in place of the sentry and lets it say what it is.
func TestLaunch(t *testing.T) {
	s := launchOf(t, "/bin/sh")
	who := "root"
	if os.Geteuid() != 0 {
		who = "user" // cannot leave a group
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := s.start(process{
		name: "shell", files: []*os.File{w}, env: []string{"WORD=passed"}, attached: true,
		args: []string{"-c", `exec >&3 3>&-; echo $$ $PPID $0 $WORD $1; id -u; pwd; grep -E '^Cap(Bnd|Eff|Amb)' /proc/self/status; ls /proc/self/fd; test "$1" = user || grep ^Groups /proc/self/status; exit 7`, "zero", who},
		caps: []uintptr{unix.CAP_SYS_CHROOT, unix.CAP_SYS_PTRACE},
	}, nil, nil)
	w.Close()
	if errors.Is(err, syscall.EPERM) && os.Geteuid() != 0 {
		t.Skipf("this host lets an ordinary user make no namespaces: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	// The fourth descriptor is that of ls itself.
	want := strings.Join([]string{
		"1 0 zero passed " + who, "65534", "/",
		"CapEff: 00000000000c0000", "CapBnd: 00000000000c0000", "CapAmb: 00000000000c0000", "0", "1", "2", "3",
	}, "\n")
	if who == "root" {
		want += "\nGroups:"
	}
	var lines []string
	for line := range strings.Lines(string(said)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("it is:\n%s\nnot:\n%s", got, want)
	}
	state, err := p.Wait()
	if err != nil || state.ExitCode() != 7 {
		t.Errorf("its end is %v, %v; not status 7", state, err)
	}
}

// TestLaunchFails ends with an error that names the step, and without a child.
func TestLaunchFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := launchOf(t, path).start(process{name: "nothing"}, nil, nil)
	if !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "execute: ") {
		t.Errorf("an error that is %v", err)
	}
	if _, err := os.Open("/nowhere"); !errors.Is(explainFork(err), os.ErrNotExist) {
		t.Errorf("an error of another kind became %v", explainFork(err))
	}
}

func TestLauncherDies(t *testing.T) {
	for script, want := range map[string]string{
		"exit 3":     "exit status 3",
		"kill -9 $$": "signal: killed",
		"exit 0":     "said nothing",
	} {
		helper := exec.Command("/bin/sh", "-c", script)
		if err := helper.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := launched(helper, strings.NewReader("half")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", script, err, want)
		}
	}
}

// launchOf is a spawner that starts the program at path.
func launchOf(t *testing.T, path string) *spawner {
	t.Helper()
	s, err := startSpawner(os.Geteuid() == 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.launcher.program.Close()
	s.launcher.program = os.NewFile(uintptr(fd), path)
	return s
}
