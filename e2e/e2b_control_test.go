package e2e

import (
	"os"
	"testing"
)

// TestE2BControl makes, pauses, forks and lists sandboxes with E2B's published
// packages, and runs code in them.
func TestE2BControl(t *testing.T) {
	s := service(t, "e2b")
	env := []string{"E2B_API_URL=" + s.url, "E2B_SANDBOX_URL=" + s.url, "E2B_API_KEY=" + s.key}
	const template = "code-interpreter"
	if out := run(t, "", "template", "inspect", template, "--json"); out.code == 0 {
		env = append(env, "BRIG_CODE_INTERPRETER=1")
	} else if os.Getenv("BRIG_MUST_HAVE") == template { // it takes minutes to build: make test does not
		t.Errorf("there is no template %s: %s", template, out.stderr)
	}
	node(t, env, "published/e2b/control.test.mjs")
}
