// Package repair tests the example of --repair-cmd: that each of its programs
// fails, and that fix.py mends it within three attempts, one bug at a time.
package repair

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

func TestRepair(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed: fix.py and the examples need it")
	}
	want := map[string]struct {
		repairs int
		result  string
	}{
		"missing-import":  {1, `{"prices": ["2.50", "4.00"]}`},
		"decimal-to-json": {1, `{"total": "59.98"}`},
		"printed-result":  {1, `{"best": "bob", "score": 9}`},
		"bash-in-sh":      {1, `{"healthy": true}`},
		"two-bugs":        {2, `{"average": 3.0}`},
	}
	b, err := os.ReadFile("items.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var it api.Item
		if err := json.Unmarshal(line, &it); err != nil {
			t.Fatal(err)
		}
		t.Run(it.CustomID, func(t *testing.T) {
			w, ok := want[it.CustomID]
			if !ok {
				t.Fatal("the test does not know what this item gives")
			}
			if it.CustomID == "bash-in-sh" && exec.Command("sh", "-c", "[[ a == a ]]").Run() == nil {
				t.Skip("sh is bash on this machine and understands the bug")
			}
			for range w.repairs {
				result, verdict, stderr := run(t, it)
				if verdict == api.OK {
					t.Fatalf("is ok before it was repaired, with %s", result)
				}
				it.Code = fix(t, it, verdict, stderr)
			}
			result, verdict, stderr := run(t, it)
			if verdict != api.OK || strings.TrimSpace(result) != w.result {
				t.Errorf("is %s with %q, want ok with %s\n%s", verdict, result, w.result, stderr)
			}
		})
	}
}

// run is a poor man's Brig for programs of our own: a directory instead of /work
// and no sandbox.
func run(t *testing.T, it api.Item) (result string, verdict api.Verdict, stderr string) {
	t.Helper()
	work := t.TempDir()
	code := strings.ReplaceAll(it.Code, "/work", work)
	for name, data := range map[string][]byte{"run": []byte(code), "input.json": it.Input} {
		if err := os.WriteFile(filepath.Join(work, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	interpreter := "python3"
	if it.Language == "sh" {
		interpreter = "sh"
	}
	cmd := exec.Command(interpreter, filepath.Join(work, "run"))
	var errs strings.Builder
	cmd.Stderr = &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return "", api.Nonzero, errs.String()
	case err != nil:
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(work, "result.json"))
	if err != nil {
		return "", api.BadResult, errs.String()
	}
	return string(b), api.OK, errs.String()
}

// fix asks fix.py, in Brig's words.
func fix(t *testing.T, it api.Item, verdict api.Verdict, stderr string) string {
	t.Helper()
	language := it.Language
	if language == "" {
		language = "python"
	}
	request, err := json.Marshal(map[string]any{
		"custom_id": it.CustomID, "language": language, "code": it.Code, "verdict": verdict, "stderr": stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "fix.py")
	cmd.Stdin = bytes.NewReader(request)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("fix.py: %v", err)
	}
	return string(out)
}

func TestNoCure(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed: fix.py needs it")
	}
	cmd := exec.Command("python3", "fix.py")
	cmd.Stdin = strings.NewReader(`{"custom_id":"x","language":"python","code":"1/0\n","verdict":"nonzero","stderr":"ZeroDivisionError"}`)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || len(out) != 0 {
		t.Errorf("fix.py gave %q and %v, want nothing and exit 1", out, err)
	}
}
