package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestE2BPython runs E2B's published packages for Python, sync and async.
func TestE2BPython(t *testing.T) {
	py := needPythonTools(t)
	packages := filepath.Join(filepath.Dir(py.interpreter), "..", "..", "e2b")
	if _, err := os.Stat(packages); err != nil {
		skip := t.Skipf
		if os.Getenv("BRIG_MUST_NOT_SKIP") != "" {
			skip = t.Fatalf
		}
		skip("E2B's packages need Python 3.11 or newer: set BRIG_PYTHON to one: %v", err)
	}
	s := service(t, "e2b")
	env := []string{"E2B_API_URL=" + s.url, "E2B_SANDBOX_URL=" + s.url, "E2B_API_KEY=" + s.key, "PYTHONPATH=" + packages}
	py.test(t, "published/e2b", env)
}
