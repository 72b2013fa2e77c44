package repair_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/repair"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string][]string{
		"a b  c":             {"a", "b", "c"},
		`'a b' "c d"`:        {"a b", "c d"},
		`a\ b`:               {"a b"},
		`x'y'"z"`:            {"xyz"},
		`'' ""`:              nil, // the program's name is empty
		`a ''`:               {"a", ""},
		`"a\"b\\c\n"`:        {`a"b\c\n`},
		`'$HOME;*' | & "$x"`: {"$HOME;*", "|", "&", "$x"},
		"\t a\n":             {"a"},
		"":                   nil,
		`a "b`:               nil,
		`a 'b`:               nil,
		`a \`:                nil,
	} {
		got, err := repair.Split(in)
		if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) || (err == nil) == (want == nil) {
			t.Errorf("Split(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func shell(script string) repair.Command {
	return repair.Command{Argv: []string{"sh", "-c", script}, Timeout: 30 * time.Second}
}

func TestCommand(t *testing.T) {
	for name, tc := range map[string]struct {
		script    string
		code, err string
	}{
		"plain":      {"echo 'print(1)'", "print(1)\n", ""},
		"fenced":     {"printf 'Here:\\n```python\\nprint(2)\\n```\\n'", "print(2)\n", ""},
		"reads json": {`grep -o '"custom_id":"[^"]*"'`, "\"custom_id\":\"the id\"\n", ""},
		"no reader":  {"exec 0<&-; echo x", "x\n", ""},
		"fails":      {"echo oh no >&2; exit 3", "", "oh no"},
		"silent":     {"true", "", "printed nothing"},
		"two blocks": {"printf '```py\\na\\n```\\n```py\\nb\\n```\\n'", "", "2 code blocks"},
		"open block": {"printf '```py\\na\\n'", "", "has no end"},
		"no utf-8":   {`printf '\377'`, "", "not UTF-8"},
		"too much":   {"head -c 2000000 /dev/zero | tr '\\0' x", "", "more than 1MiB"},
		"endless":    {"yes", "", "more than 1MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			code, err := shell(tc.script).Repair(t.Context(), repair.Request{CustomID: "the id", Language: "python", Verdict: api.Nonzero})
			if code != tc.code || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%.80q, %v; want %q, %q", code, err, tc.code, tc.err)
			}
		})
	}
}

// TestCommandIsKilled wants the whole process group gone when the time is over.
func TestCommandIsKilled(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := shell("sleep 1000 & echo $! > " + pidFile + ".new; mv " + pidFile + ".new " + pidFile + "; wait")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.Repair(ctx, repair.Request{})
		done <- err
	}()
	var pid int
	for pid == 0 {
		if b, err := os.ReadFile(pidFile); err == nil {
			if pid, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("no error")
	}
	for alive(pid) {
	}
}

// alive tells whether a process runs; a dead one that nobody waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestNewCommand(t *testing.T) {
	if _, err := repair.NewCommand("no-such-program-anywhere --x"); api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
		t.Errorf("no such program: %v", err)
	}
	if c, err := repair.NewCommand("sh -c 'exit 0'"); err != nil || len(c.Argv) != 3 {
		t.Errorf("%v, %v", c, err)
	}
}
