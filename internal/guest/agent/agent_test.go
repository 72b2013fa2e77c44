package agent

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBinaryIsBuiltFromSource rebuilds the committed binaries. Compilers differ
// in their output, so it takes the one that src/compiler names.
func TestBinaryIsBuiltFromSource(t *testing.T) {
	want, err := os.ReadFile("src/compiler")
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.Command("gcc", "--version").Output()
	if err != nil {
		t.Skipf("no gcc here: %v", err)
	}
	line, _, _ := strings.Cut(string(version), "\n")
	if line != strings.TrimSpace(string(want)) {
		t.Skipf("the binaries were made by %s, and here is %s", bytes.TrimSpace(want), line)
	}
	dir := t.TempDir()
	if out, err := exec.Command("sh", "src/build.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, committed := range map[string][]byte{
		"agent_linux_amd64": Binary(), "umount_linux_amd64": Umount(), "launch_linux_amd64": Launch(),
	} {
		built, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, committed) {
			t.Errorf("%s is not what src/build.sh makes: run it and commit the result", name)
		}
	}
}
