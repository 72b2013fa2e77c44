package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

func socketIn(stateDir string) string { return filepath.Join(stateDir, "api.sock") }
func lockIn(stateDir string) string   { return filepath.Join(stateDir, "serve.lock") }

// lockServer makes this process the one server of a state directory. The kernel
// drops the lock when the process ends, however it ends; its text is the pid.
func lockServer(stateDir string) (*os.File, error) {
	f, err := os.OpenFile(lockIn(stateDir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, cannotServe(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, api.Errorf(api.CodeConflict, "cannot serve: because another server uses this state directory").
			WithFix("use that one, end it with 'brig serve --stop', or set another BRIG_STATE")
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, cannotServe(err)
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		f.Close()
		return nil, cannotServe(err)
	}
	return f, nil
}

// stopServer ends the server of a state directory and waits until it is gone.
func stopServer(ctx context.Context, stateDir string) error {
	f, err := os.OpenFile(lockIn(stateDir), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cannotServe(err)
	}
	defer f.Close()
	for signalled := false; ; {
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			return nil // nobody holds it
		}
		if !signalled {
			if err := signalHolder(f); err != nil {
				return err
			}
			signalled = true
		}
		select {
		case <-ctx.Done():
			return api.Errorf(api.CodeCancelled, "cannot wait for the server to end: because the caller gave up")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// signalHolder asks the process that holds the lock to end.
func signalHolder(f *os.File) error {
	b := make([]byte, 32)
	n, err := f.ReadAt(b, 0)
	pid, bad := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if bad != nil || pid <= 1 {
		return api.Errorf(api.CodeInternal, "cannot end the server: because its lock does not say which process it is: %w", err)
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		return api.Errorf(api.CodeUnavailable, "cannot end the server: because %w", err).WithFix("end process %d as its user", pid)
	}
	return nil
}
