package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/internal/template"
)

// TestBuildEgress: a RUN reaches what the build allows, and nothing else; a build
// that allows nothing has no network.
func TestBuildEgress(t *testing.T) {
	w := openOutside(t)
	name := fmt.Sprintf("e2e-egress-%d", os.Getpid())
	defer run(t, "", "template", "rm", name)
	build := func(allow []string, script string) error {
		t.Helper()
		dir := t.TempDir()
		file := filepath.Join(dir, "Dockerfile")
		// The directory makes a layer of its own: none comes from another run's cache.
		text := fmt.Sprintf("FROM python\nENV RUN_OF=%s\nRUN python3 -c '%s'\n", dir, script)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := w.brig.Templates.Build(t.Context(), name, template.BuildOptions{
			File: file, Context: dir, AllowEgress: allow, Drivers: w.brig.Drivers,
		}, nil)
		return err
	}
	const get = `import urllib.request as u; assert u.urlopen("http://web.example.org/pkg", timeout=20).read() == b"/pkg at web.example.org"`
	if err := build([]string{"web.example.org"}, get); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.dialed, " "); got != "93.184.216.34:80" {
		t.Errorf("dialed %s", got)
	}
	const dial = `import socket; socket.create_connection(("93.184.216.99", 80), 5)`
	for what, err := range map[string]error{
		"another address": build([]string{"web.example.org"}, dial),
		"another name":    build([]string{"other.example.org"}, get),
		"no network":      build(nil, get),
	} {
		if err == nil || !strings.Contains(err.Error(), "RUN ended with exit code 1") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(w.dialed) != 1 {
		t.Errorf("dialed %v", w.dialed)
	}
}
