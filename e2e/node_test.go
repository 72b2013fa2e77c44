package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	if err := nodeTools(); err != nil {
		skip("the packages of the JavaScript tests cannot be installed: %v", err)
	}
}

// nodeTools puts the Node.js that the script chose first in PATH.
var nodeTools = sync.OnceValue(func() error {
	var stderr bytes.Buffer
	cmd := exec.Command(filepath.Join("..", "scripts", "node-tools"))
	cmd.Stderr = &stderr
	dir, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, &stderr)
	}
	return os.Setenv("PATH", strings.TrimSpace(string(dir))+string(filepath.ListSeparator)+os.Getenv("PATH"))
})
