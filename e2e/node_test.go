package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// node runs JavaScript tests (files for `node --test`, relative to this directory)
// with more environment, and fails with what they print. It installs what they
// need first.
func node(t *testing.T, env []string, files ...string) {
	t.Helper()
	needNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{"--test", "--test-reporter=spec", "--test-timeout=240000"}, files...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node --test %v: %v\n%s", files, err, out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// needNode has scripts/node-tools install Node.js and the packages of the tests.
// Without a network the test is skipped, or fails under BRIG_MUST_NOT_SKIP.
func needNode(t *testing.T) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("BRIG_MUST_NOT_SKIP") != "" {
		skip = t.Fatalf
	}
	if out, err := exec.Command(filepath.Join("..", "scripts", "node-tools")).CombinedOutput(); err != nil {
		skip("the packages of the JavaScript tests cannot be installed: %v: %s", err, out)
	}
}
