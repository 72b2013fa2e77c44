package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

// codeSession gives this test a server of its own and a sandbox of a template.
func codeSession(t *testing.T, template string) (id string) {
	t.Helper()
	first := session(t) // the server, and a sandbox of the python template
	if template == "python" {
		return first
	}
	if out := run(t, "", "template", "inspect", template, "--json"); out.code != 0 {
		skip := t.Skipf
		if os.Getenv("BRIG_MUST_HAVE") == template { // it takes minutes to build: make test does not
			skip = t.Fatalf
		}
		skip("there is no template %s here ('brig template build %s' makes it): %s", template, template, out.stderr)
	}
	return ok(t, "sandbox", "create", "--template", template)
}

// cellIn runs a cell on the command line and gives what came of it.
func cellIn(t *testing.T, id, code string, flags ...string) api.CodeExecution {
	t.Helper()
	out := run(t, code, append([]string{"code", "run", id, "-", "--json"}, flags...)...)
	var x api.CodeExecution
	if err := json.Unmarshal([]byte(out.stdout), &x); err != nil {
		t.Fatalf("%.100s: exit code %d: %s%s", code, out.code, out.stdout, out.stderr)
	}
	return x
}

func mainText(x api.CodeExecution) string {
	for _, r := range x.Results {
		if r.Main {
			return r.Data["text/plain"]
		}
	}
	return ""
}

// TestCode is a code-interpreter session in a real sandbox, with a kernel that is
// started (python) and one that comes with the template's snapshot.
func TestCode(t *testing.T) {
	for _, template := range []string{"python", "code-interpreter"} {
		t.Run(template, func(t *testing.T) {
			id := codeSession(t, template)
			cellIn(t, id, "x = 40")
			if x := cellIn(t, id, "print('grün €😀'); x + 2"); mainText(x) != "42" || x.Stdout != "grün €😀\n" || x.Count != 2 {
				t.Errorf("state and text: %+v", x)
			}
			if x := cellIn(t, id, "import os; n = os.write(1, b'raw'); n = os.system('echo child')"); x.Stdout != "rawchild\n" {
				t.Errorf("descriptors: %+v", x)
			}
			if x := cellIn(t, id, "input()"); x.Error == nil || x.Error.Name != "EOFError" {
				t.Errorf("input: %+v", x)
			}
			if x := cellIn(t, id, "1/0"); x.Error == nil || x.Error.Name != "ZeroDivisionError" || !strings.Contains(x.Error.Traceback, "1/0") {
				t.Errorf("an error: %+v", x)
			}
			if x := cellIn(t, id, "while True: pass", "--timeout", "1s"); !x.TimedOut || x.Restarted {
				t.Errorf("a loop: %+v", x)
			}
			if x := cellIn(t, id, "x"); mainText(x) != "40" {
				t.Errorf("after the loop: %+v", x)
			}
			if x := cellIn(t, id, "for i in range(1_000_000): print('x' * 99)"); !x.Truncated || len(x.Stdout) != 1<<20 {
				t.Errorf("100 MB: %d bytes, truncated %v", len(x.Stdout), x.Truncated)
			}
			if x := cellIn(t, id, "os.kill(os.getpid(), 9)"); !x.Restarted || !strings.Contains(x.Reason, "SIGKILL") {
				t.Errorf("a killed kernel: %+v", x)
			}
			if x := cellIn(t, id, "x"); x.Error == nil || x.Count != 1 {
				t.Errorf("the kernel after that: %+v", x)
			}
		})
	}
}

// TestRichResults draws in the warm kernel of the code-interpreter template.
func TestRichResults(t *testing.T) {
	id := codeSession(t, "code-interpreter")
	x := cellIn(t, id, "import pandas as pd, matplotlib.pyplot as plt\nlines = plt.plot([1, 2])\npd.DataFrame({'a': [1]})")
	var html, png bool
	for _, r := range x.Results {
		html = html || strings.Contains(r.Data["text/html"], "<table")
		png = png || strings.HasPrefix(r.Data["image/png"], "iVBOR")
	}
	if !html || !png || x.Error != nil {
		t.Errorf("table %v, figure %v: %+v", html, png, x)
	}
	js := func(code string) api.CodeExecution { return cellIn(t, id, code, "--language", "javascript") }
	js("const a = 20")
	if x := js("const a = 21; console.log('ü'); await Promise.resolve(a * 2)"); mainText(x) != "42" || x.Stdout != "ü\n" {
		t.Errorf("JavaScript: %+v", x)
	}
	if x := cellIn(t, id, "for (;;) {}", "--language", "javascript", "--timeout", "1s"); !x.TimedOut || x.Restarted {
		t.Errorf("a loop in JavaScript: %+v", x)
	}
	if x := js("a"); mainText(x) != "21" {
		t.Errorf("after the loop: %+v", x)
	}
}
