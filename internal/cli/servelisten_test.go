package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brigdev/brig/api"
)

// TestListenSocket: a dead server's socket is replaced, anything else is left alone.
func TestListenSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	o := serveOptions{socket: path, socketMode: "0660"}
	for range 2 {
		l, err := o.listenSocket(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
			t.Errorf("the socket has the mode %v (%v)", st.Mode(), err)
		}
	}
	o.socket = filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(o.socket, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := o.listenSocket(dir); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("a file in its place: %v", err)
	}
	if b, err := os.ReadFile(o.socket); string(b) != "mine" {
		t.Errorf("the file has %q (%v)", b, err)
	}
}
