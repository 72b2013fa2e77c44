package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/brigdev/brig/api"
)

func getenv(m map[string]string) func(string) string {
	return func(k string) string { return m[k] }
}

func TestDefaultDirs(t *testing.T) {
	for name, tc := range map[string]struct {
		env         map[string]string
		uid         int
		data, state string
	}{
		"root":          {nil, 0, "/var/lib/brig", "/run/brig"},
		"user":          {map[string]string{"HOME": "/home/u"}, 7, "/home/u/.local/share/brig", filepath.Join(os.TempDir(), "brig-7")},
		"user with xdg": {map[string]string{"HOME": "/home/u", "XDG_DATA_HOME": "/d", "XDG_RUNTIME_DIR": "/r"}, 7, "/d/brig", "/r/brig"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := defaultDataDir(getenv(tc.env), tc.uid)
			if err != nil || data != tc.data {
				t.Errorf("data: got %q (%v), want %q", data, err, tc.data)
			}
			if state := defaultStateDir(getenv(tc.env), tc.uid); state != tc.state {
				t.Errorf("state: got %q, want %q", state, tc.state)
			}
		})
	}
	if _, err := defaultDataDir(getenv(nil), 7); api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
		t.Errorf("a user without HOME: %v", err)
	}
}

func TestOptionsFromEnvironment(t *testing.T) {
	o, err := DefaultOptions(getenv(map[string]string{"BRIG_DATA": "rel", "BRIG_STATE": "/abs"}), slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if o.DataDir != filepath.Join(wd, "rel") || o.StateDir != "/abs" {
		t.Errorf("got %+v", o)
	}
}

func TestPrepareDir(t *testing.T) {
	tmp := t.TempDir()
	fresh := filepath.Join(tmp, "a/b")
	if err := prepareDir("state", fresh); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(fresh); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("made %v, %v", st, err)
	}
	if err := prepareDir("state", fresh); err != nil {
		t.Errorf("a second time: %v", err)
	}

	open := filepath.Join(tmp, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(tmp, "link")
	if err := os.Symlink(fresh, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(tmp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := []string{open, link, file}
	if os.Getuid() == 0 {
		foreign := filepath.Join(tmp, "foreign")
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		bad = append(bad, foreign)
	}
	for _, dir := range bad {
		if err := prepareDir("state", dir); api.CodeOf(err) != api.CodeUnavailable || api.FixOf(err) == "" {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
