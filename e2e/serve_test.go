package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestServe: the first start prints a URL and a key; with them every command uses
// that server, and without the key none does; SIGTERM ends it cleanly.
func TestServe(t *testing.T) {
	needPython(t)
	state := t.TempDir()
	t.Setenv("BRIG_STATE", state)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := brig(ctx, "serve", "--listen", "127.0.0.1:0", "--socket", state+"/s")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	lines := bufio.NewScanner(out)
	for url == "" && lines.Scan() {
		if _, at, ok := strings.Cut(lines.Text(), "serves at http"); ok {
			url = "http" + at
		}
	}
	secrets := make(chan string, 1)
	go func() {
		for lines.Scan() {
			if _, first, ok := strings.Cut(lines.Text(), "key: "); ok {
				secrets <- first // this machine's first start
			}
		}
		close(secrets)
	}()
	secret := ok(t, "key", "create", "--label", "e2e", "--ttl", "10m")
	t.Cleanup(func() {
		revoke := []string{secret}
		if first, printed := <-secrets; printed {
			revoke = append(revoke, first)
		}
		for _, s := range revoke {
			if out, err := brig(context.Background(), "key", "revoke", s[:11]).CombinedOutput(); err != nil {
				t.Errorf("revoke: %v: %s", err, out)
			}
		}
	})
	t.Setenv("BRIG_API", url)
	if out := run(t, "", "sandbox", "ls"); out.code != 2 || !strings.Contains(out.stderr, "no valid key") {
		t.Errorf("without a key: %+v", out)
	}
	t.Setenv("BRIG_API_KEY", secret)
	id := ok(t, "sandbox", "create", "--template", "python")
	if got := runIn(t, id, "echo over TCP"); got != "over TCP" {
		t.Errorf("exec: %q", got)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if out := run(t, "", "sandbox", "ls"); out.code != 125 || !strings.Contains(out.stderr, "cannot reach the server") {
		t.Errorf("afterwards: %+v", out)
	}
}

// TestShell types into a shell on a real terminal and resizes it.
func TestShell(t *testing.T) {
	id := session(t)
	master, slave := terminal(t)
	resize(t, master, 40, 100)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := brig(ctx, "sandbox", "shell", id)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	s := &screen{t: t, f: master}
	s.wait("$")
	s.say("stty size; tty")
	s.wait("40 100")
	s.wait("/dev/pts/")
	resize(t, master, 50, 120)
	// The new size is on its way beside what is typed: ask until it is there.
	s.say("until stty size | grep '50 120'; do sleep 0.05; done")
	s.wait("\r50 120\r\n")
	// What is typed is echoed before it runs: wait for what only the program says.
	// Not dash: it loses a Ctrl-C that comes while it forks, on any terminal.
	s.say("bash -c 'echo a''sleep; sleep 1000'")
	s.wait("asleep\r\n")
	s.say("\x03")
	s.wait("$")
	s.say("exit $((3 + 4))")
	err := cmd.Wait()
	if exit, isExit := err.(*exec.ExitError); !isExit || exit.ExitCode() != 7 {
		t.Errorf("the shell ended with %v, want 7", err)
	}
}

// screen is what a terminal shows.
type screen struct {
	t    *testing.T
	f    *os.File
	seen string
}

func (s *screen) say(line string) {
	s.t.Helper()
	if _, err := s.f.WriteString(line + "\n"); err != nil {
		s.t.Fatal(err)
	}
}

// wait reads until the screen shows text, and forgets all up to it.
func (s *screen) wait(text string) {
	s.t.Helper()
	if err := s.within(time.Minute, text); err != nil {
		s.t.Fatalf("%q never came (%v); the screen shows %q", text, err, s.seen)
	}
}

func (s *screen) within(patience time.Duration, text string) error {
	buf := make([]byte, 4096)
	for deadline := time.Now().Add(patience); ; {
		if _, rest, ok := strings.Cut(s.seen, text); ok {
			s.seen = rest
			return nil
		}
		s.f.SetReadDeadline(deadline)
		n, err := s.f.Read(buf)
		s.seen += string(buf[:n])
		if err != nil {
			return err
		}
	}
}

// terminal opens both ends of a new one.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("this machine has no terminals: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { master.Close() })
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func resize(t *testing.T, f *os.File, rows, cols uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		t.Fatal(err)
	}
}
