package cli

import (
	"os"
	"syscall"
	"testing"
)

// TestOnUserSignal sends this process SIGUSR1, twice.
func TestOnUserSignal(t *testing.T) {
	ask, quiet := onUserSignal(t.Context())
	for range 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		<-ask
	}
	quiet()
}

func TestSafeText(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n\ttext":  "plain\n\ttext",
		"\x1b[31mred":    "?[31mred",
		"a\rb\x00\u202e": "a?b??",
		"Größe":          "Größe",
	} {
		if got := safeText(in); got != want {
			t.Errorf("safeText(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestReadIDs(t *testing.T) {
	file := t.TempDir() + "/ids"
	if err := os.WriteFile(file, []byte("a,b\r\nc\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]int{"": 0, "a": 1, "a,b,,c": 3, "@" + file: 2} {
		if ids, err := readIDs(in); err != nil || len(ids) != want {
			t.Errorf("readIDs(%q) = %q, %v, want %d", in, ids, err, want)
		}
	}
	for _, bad := range []string{",", "@/no/such/file"} {
		if ids, err := readIDs(bad); err == nil {
			t.Errorf("readIDs(%q) = %q", bad, ids)
		}
	}
}
