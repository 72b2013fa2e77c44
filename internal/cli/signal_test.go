package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// startBrig starts a Brig process over the fake driver, and returns it with the
// read end of its stdout when its program has said "ready".
func startBrig(t *testing.T, script string) (*exec.Cmd, *os.File, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := &bytes.Buffer{}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = []string{"brig-fake", "run", "--timeout", "1h", "--output-limit", "1TiB", "--", "sh", "-c", "stdout ready\n" + script}
	cmd.Env = append(os.Environ(), "BRIG_DATA="+t.TempDir(), "BRIG_STATE="+t.TempDir())
	cmd.Stdout, cmd.Stderr = in, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	t.Cleanup(func() { out.Close() })
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	return cmd, out, stderr
}

func exitCodeOf(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

func TestCtrlCCancels(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd, _, stderr := startBrig(t, "hang")
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if code := exitCodeOf(t, cmd.Wait()); code != exitCancelled {
				t.Errorf("exit code %d, want %d", code, exitCancelled)
			}
			if !strings.HasPrefix(stderr.String(), "brig: cancelled") {
				t.Errorf("stderr is %q", stderr)
			}
			leftNothing(t, cmd)
		})
	}
}

func TestBrokenPipeEndsQuietly(t *testing.T) {
	cmd, out, stderr := startBrig(t, "flood")
	out.Close()
	if code := exitCodeOf(t, cmd.Wait()); code != exitBrokenPipe {
		t.Errorf("exit code %d, want %d", code, exitBrokenPipe)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr is %q", stderr)
	}
	leftNothing(t, cmd)
}

// leftNothing wants an empty state directory: a Brig that was cancelled cleans
// up after itself.
func leftNothing(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	for _, kv := range cmd.Env {
		dir, ok := strings.CutPrefix(kv, "BRIG_STATE=")
		if !ok {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				t.Errorf("left %s", e.Name())
			}
		}
	}
}
