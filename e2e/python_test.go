package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPythonSDK runs the tests of sdk/python, the examples of its README among them,
// against a server.
func TestPythonSDK(t *testing.T) {
	py := needPythonTools(t)
	s := service(t, "")
	env := append(s.env(), "PYTHONPATH=src", "BRIG_TEMPLATE=python", "BRIG_MUST_NOT_SKIP=1")
	py.test(t, "../sdk/python", env)
}

// TestPandastackPython runs programs that are written with the published pandastack
// package, as it is: only the URL and the key are ours. The older one of its versions
// runs the sample programs, and everything under BRIG_SOAK.
func TestPandastackPython(t *testing.T) {
	py := needPythonTools(t)
	sample := "python"
	if run(t, "", "template", "inspect", "code-interpreter").code == 0 {
		sample = "code-interpreter" // as their authors have it
	}
	s := service(t, "pandastack")
	env := []string{"PANDASTACK_API=" + s.url, "PANDASTACK_API_KEY=" + s.key, "BRIG_TEMPLATE=python", "BRIG_SAMPLE_TEMPLATE=" + sample}
	for version, path := range py.pandastack {
		t.Run(version, func(t *testing.T) {
			env := append(env, "PANDASTACK_VERSION="+version, "PYTHONPATH="+path)
			var what []string
			if path != "" && os.Getenv("BRIG_SOAK") == "" {
				what = []string{"test_samples.py", "test_surface.py::test_version_under_test"}
			}
			py.test(t, "published/pandastack_py", env, what...)
		})
	}
}

// pythonTools is a Python with the packages of the tests.
type pythonTools struct {
	interpreter string
	pandastack  map[string]string // by version: what to put in PYTHONPATH for it
}

// needPythonTools has scripts/python-tools install what the tests need. Without a
// network the test is skipped, or fails under BRIG_MUST_NOT_SKIP.
func needPythonTools(t *testing.T) pythonTools {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("BRIG_MUST_NOT_SKIP") != "" {
		skip = t.Fatalf
	}
	var stderr bytes.Buffer
	cmd := exec.Command(filepath.Join("..", "scripts", "python-tools"))
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		skip("the packages of the Python tests cannot be installed: %v: %s", err, stderr.String())
	}
	dir := strings.TrimSpace(string(out))
	py := pythonTools{interpreter: filepath.Join(dir, "venv/bin/python"), pandastack: map[string]string{"0.10.0": ""}}
	older, err := filepath.Glob(filepath.Join(dir, "pandastack-*"))
	if err != nil || len(older) == 0 {
		t.Fatalf("there is no older pandastack in %s: %v", dir, err)
	}
	for _, path := range older {
		py.pandastack[strings.TrimPrefix(filepath.Base(path), "pandastack-")] = path
	}
	return py
}

// test runs pytest in dir and fails with what it prints.
func (py pythonTools) test(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, py.interpreter, append([]string{"-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1"), env...)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pytest in %s: %v\n%s", dir, err, out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
}
