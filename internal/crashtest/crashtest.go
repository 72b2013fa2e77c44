// Package crashtest runs a test's own program as a process that SIGKILLs itself at
// one of its steps, so that the test can look at what the next process makes of the
// remains.
package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const (
	stepEnv = "BRIG_TEST_CRASH_STEP"
	dirEnv  = "BRIG_TEST_CRASH_DIR"
)

// Main is for TestMain: it runs the tests or, in a process that Command made, child.
// Its work is in dir, and it calls Die when it comes to the step.
func Main(m *testing.M, child func(step, dir string) error) {
	if step := os.Getenv(stepEnv); step != "" {
		if err := child(step, os.Getenv(dirEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1) // the step never came
	}
	os.Exit(m.Run())
}

// Die is kill -9 of this process.
func Die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // nobody is left to hear of an error
	select {}
}

// Command is this test's program as a process that runs Main's child.
func Command(t *testing.T, step, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), stepEnv+"="+step, dirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// Run runs the child to the step, at which it has to die.
func Run(t *testing.T, step, dir string) {
	t.Helper()
	err := Command(t, step, dir).Run()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process ended with %v, want SIGKILL at %q", err, step)
	}
}
