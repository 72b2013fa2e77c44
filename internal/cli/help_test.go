package cli

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden help files anew")

// TestHelp compares every command's help with its golden file, from the tree:
// a new command cannot forget its help. Write them with -update.
func TestHelp(t *testing.T) {
	dir := filepath.Join("testdata", "help")
	want := map[string]bool{}
	for _, c := range commands(newRootCommand(&Env{})) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".txt"
		want[name] = true
		t.Run(c.CommandPath(), func(t *testing.T) {
			if c.Example == "" {
				t.Error("the help has no example")
			}
			var out bytes.Buffer
			args := append(strings.Fields(c.CommandPath())[1:], "--help")
			if code := Execute(context.Background(), args, &Env{Stdout: &out, Stderr: &out}); code != 0 {
				t.Fatalf("exit code %d: %s", code, out.String())
			}
			golden(t, filepath.Join(dir, name), out.Bytes())
		})
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !want[filepath.Base(f)] {
			t.Errorf("%s belongs to no command: delete it", f)
		}
	}
}

// commands lists a tree, but for cobra's own helpers.
func commands(c *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if sub.Name() != "help" && !sub.Hidden {
			list = append(list, commands(sub)...)
		}
	}
	return list
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test ./internal/cli -run TestHelp -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the help changed: look, then go test ./internal/cli -run TestHelp -update\ngot:\n%s\nwant:\n%s", got, want)
	}
}
