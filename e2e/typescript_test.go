package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestPublishedPandastackTypeScript runs programs written with the published
// @pandastack/sdk: only the URL and the key are those of this server.
func TestPublishedPandastackTypeScript(t *testing.T) {
	s := service(t, "pandastack")
	node(t, s.env(), tests(t, "published/pandastack_ts")...)
}

// TestTypeScriptSDK runs the tests of sdk/typescript that need no server.
func TestTypeScriptSDK(t *testing.T) {
	buildTypeScript(t)
	node(t, nil, tests(t, "../sdk/typescript/test")...)
}

// TestTypeScriptSDKServer runs those that do, and the examples of its README.
func TestTypeScriptSDKServer(t *testing.T) {
	buildTypeScript(t)
	s := service(t, "")
	node(t, s.env(), tests(t, "../sdk/typescript/e2e")...)
}

// tests lists the JavaScript tests of a directory.
func tests(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.test.mjs"))
	if err != nil || len(files) < 4 {
		t.Fatalf("found the tests %v (%v)", files, err)
	}
	return files
}

var compiled = sync.OnceValues(func() ([]byte, error) {
	cmd := exec.Command("node", "build.mjs")
	cmd.Dir = filepath.Join("..", "sdk", "typescript")
	cmd.Env = os.Environ()
	return cmd.CombinedOutput()
})

// buildTypeScript compiles sdk/typescript, once.
func buildTypeScript(t *testing.T) {
	t.Helper()
	needNode(t)
	if out, err := compiled(); err != nil {
		t.Fatalf("sdk/typescript does not compile: %v\n%s", err, out)
	}
}
