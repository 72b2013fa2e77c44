package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/internal/durable"
)

func TestJSON(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.json")
	var got map[string]int
	if err := durable.ReadJSON(path, &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	for n := range 3 {
		if err := durable.WriteJSON(path, map[string]int{"n": n}); err != nil {
			t.Fatal(err)
		}
		if err := durable.ReadJSON(path, &got); err != nil || got["n"] != n {
			t.Errorf("%v, %v", got, err)
		}
	}
	if err := durable.WriteJSON(path, func() {}); err == nil {
		t.Error("a function was written")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
	if err := durable.WriteJSON(filepath.Join(dir, "none", "x"), 1); err == nil {
		t.Error("written into no directory")
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, ok, err := durable.TryLock(path)
	if err != nil || !ok {
		t.Fatalf("%v, %v", ok, err)
	}
	if _, ok, err := durable.TryLock(path); err != nil || ok {
		t.Errorf("taken twice: %v, %v", ok, err)
	}
	unlock()
	if again, ok, err := durable.TryLock(path); err != nil || !ok {
		t.Errorf("given up and not to be had: %v, %v", ok, err)
	} else {
		again()
	}
	if _, _, err := durable.TryLock(filepath.Join(path, "x")); err == nil {
		t.Error("a lock below a file")
	}
}

func TestIDs(t *testing.T) {
	dir := t.TempDir()
	id := durable.NewID("batch_")
	for _, name := range []string{id, durable.NewID("build-"), "batch_short", ".new-x"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := durable.IDs(dir, "batch_"); len(got) != 1 || got[0] != id {
		t.Errorf("found %v, want %s", got, id)
	}
	if got := durable.IDs(filepath.Join(dir, "none"), "batch_"); got != nil {
		t.Errorf("in no directory: %v", got)
	}
	for _, bad := range []string{"", "batch_", "batch_../../../../etc/passwd.....", id + "a", strings.ToUpper(id), "build-" + id[6:]} {
		if durable.IsID(bad, "batch_") {
			t.Errorf("%q passes for an id", bad)
		}
	}
	if a, b := durable.FileName("ann/../bob"), durable.FileName("bob"); a == b || strings.ContainsAny(a, "/.") {
		t.Errorf("owners' names: %s, %s", a, b)
	}
}

func TestDiskError(t *testing.T) {
	_, err := os.Open("/nowhere/of/this/host")
	if err = durable.DiskError("keep the file", err); strings.Contains(err.Error(), "/nowhere") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
