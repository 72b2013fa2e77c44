package template

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A tool that works for minutes in a directory of ours must not outlive us, and
// its files must not be removed under it. As root it gets a process and a mount
// namespace, which end with it. Without root parts of mmdebstrap run as other
// users in a namespace of their own and survive a kill of their parent. So every
// tool inherits, as its stdin, a locked file that has its process group in it: whoever finds
// the lock taken and us gone knows what to kill.

// Files in a scratch directory.
const (
	toolName    = "tool"    // the lease of a running tool
	outsideName = "outside" // names a tool's directory elsewhere
)

const buildPrefix = "brig-build-"

// runTool runs cmd to its end, with its lease in the scratch directory.
func runTool(cmd *exec.Cmd, scratch string) error {
	lease, err := os.OpenFile(filepath.Join(scratch, toolName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer lease.Close()
	if err := syscall.Flock(int(lease.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	// As stdin, at whose end it stands: one more descriptor would move those that
	// mmdebstrap's shell commands name with a single digit.
	cmd.Stdin = lease
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = destroyTimeout
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = lease.WriteString(strconv.Itoa(cmd.Process.Pid))
	if err != nil {
		cmd.Cancel()
	}
	if err2 := cmd.Wait(); err == nil {
		err = err2
	}
	return err
}

// endTool kills what is left of a tool whose owner is gone. It reports whether
// nothing of it runs any more.
func endTool(scratch string) bool {
	path := filepath.Join(scratch, toolName)
	data, err := os.ReadFile(path)
	if err != nil {
		return os.IsNotExist(err)
	}
	if unlock, ok := unused(path); ok {
		unlock()
		return true
	}
	// The lock is held, so the group exists: its number is nobody else's.
	if group, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && group > 1 {
		syscall.Kill(-group, syscall.SIGKILL)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	unlock, err := lock(ctx, path)
	if err != nil {
		return false
	}
	unlock()
	return true
}

// buildDir makes the directory that mmdebstrap works in. Without root its files
// belong to other user ids, which must be able to get there: that is not below
// a data directory of ours, and so it is noted for whoever cleans up.
func buildDir(scratch string) (string, error) {
	if os.Geteuid() == 0 {
		return os.MkdirTemp(scratch, buildPrefix)
	}
	dir, err := os.MkdirTemp("", buildPrefix)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(scratch, outsideName), []byte(dir), 0o600)
}

// removeBuildDir removes such a directory and tells whether it is gone. Files of
// other user ids need the tool that made them. It tries again for a while: the
// last of a killed tool's processes may still be on their way out.
func removeBuildDir(scratch, dir string) bool {
	if !strings.HasPrefix(filepath.Base(dir), buildPrefix) {
		return false
	}
	for range 20 {
		if os.RemoveAll(dir) == nil {
			os.Remove(filepath.Join(scratch, outsideName))
			return true
		}
		if tool, err := exec.LookPath("mmdebstrap"); err == nil && os.Geteuid() != 0 {
			exec.Command(tool, "--unshare-helper", "rm", "-rf", "--one-file-system", dir).Run()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// runTied runs a command that ends with us and leaves no process behind when its
// context ends.
func runTied(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = destroyTimeout
	ended := make(chan error, 1)
	go func() {
		// The parent-death signal is bound to the thread that forks.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		ended <- cmd.Run()
	}()
	return <-ended
}
