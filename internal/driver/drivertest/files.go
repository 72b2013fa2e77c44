package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
)

// testRanges reads parts of a file that is larger than what is asked for at once.
func (s *suite) testRanges(t *testing.T) {
	b := s.create(t, s.spec())
	var text strings.Builder
	for i := 0; text.Len() < 3<<20; i++ {
		fmt.Fprintf(&text, "%08d", i)
	}
	data := text.String()
	if err := b.guest.Put(patient(t), "/work/big", 0o644, strings.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	size := int64(len(data))
	for _, r := range [][2]int64{{0, -1}, {0, 0}, {0, 5}, {1<<20 - 1, 2}, {77, 2 << 20}, {size - 3, 10}, {size, -1}, {size + 9, -1}} {
		from := min(r[0], size)
		to := size
		if r[1] >= 0 {
			to = min(size, from+r[1])
		}
		var got bytes.Buffer
		info, err := b.guest.Read(patient(t), "/work/big", r[0], r[1], &got)
		if err != nil || got.String() != data[from:to] || info.Size != size || info.Kind != api.FileRegular || info.ModTime == 0 {
			t.Errorf("%d bytes from %d: %d bytes, %+v, %v", r[1], r[0], got.Len(), info, err)
		}
	}
}

// testChanges makes, describes, moves and removes names.
func (s *suite) testChanges(t *testing.T) {
	b := s.create(t, s.spec())
	g, ctx := b.guest, patient(t)
	must := func(what string, err error, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	write := func(name, content string) {
		t.Helper()
		must("put "+name, g.Put(ctx, name, 0o644, strings.NewReader(content)), nil)
	}
	must("mkdir", g.Mkdir(ctx, "/work/a/b", 0o750), nil)
	must("mkdir again", g.Mkdir(ctx, "/work/a/b", 0o700), nil)
	if info, err := g.Stat(ctx, "/work/a/b"); err != nil || info.Kind != api.FileDir || info.Mode != 0o750 || info.Path != "/work/a/b" {
		t.Errorf("the directory: %+v, %v", info, err)
	}
	// What is made there belongs to the program's user.
	if out := s.run(t, b, Program{Write: "a/b/file", Content: "mine"}); out.Status != 0 {
		t.Errorf("a program cannot write into it: %+v", out)
	}
	must("mkdir over a file", g.Mkdir(ctx, "/work/a/b/file", 0o700), fs.ErrExist)

	write("/work/precious/file", "stays")
	must("symlink", g.Symlink(ctx, "/work/precious", "/work/a/new/link"), nil)
	if info, err := g.Stat(ctx, "/work/a/new/link"); err != nil || info.Kind != api.FileSymlink || info.Target != "/work/precious" {
		t.Errorf("the symlink: %+v, %v", info, err)
	}
	must("symlink over a name", g.Symlink(ctx, "x", "/work/a/new/link"), fs.ErrExist)
	_, err := g.Stat(ctx, "/work/none")
	must("stat of nothing", err, fs.ErrNotExist)

	write("/work/one", "one")
	write("/work/two", "two")
	must("rename over a file", g.Rename(ctx, "/work/one", "/work/two"), nil)
	if out := s.run(t, b, Program{Cat: "two"}); out.stdout != "one" {
		t.Errorf("the renamed file: %+v", out)
	}
	must("rename of nothing", g.Rename(ctx, "/work/one", "/work/three"), fs.ErrNotExist)
	must("rename of a directory", g.Rename(ctx, "/work/a", "/work/moved"), nil)

	must("remove of a full directory", g.Remove(ctx, "/work/moved", false), syscall.ENOTEMPTY)
	deep := "/work/moved" + strings.Repeat("/d", 200)
	write(deep+"/file", "deep")
	must("remove", g.Remove(ctx, "/work/moved", true), nil)
	_, err = g.Stat(ctx, "/work/moved")
	must("stat of what was removed", err, fs.ErrNotExist)
	must("remove of nothing", g.Remove(ctx, "/work/moved", true), fs.ErrNotExist)
	if out := s.run(t, b, Program{Cat: "precious/file"}); out.stdout != "stays" {
		t.Errorf("the removal went through a symlink: %+v", out)
	}
	must("symlink", g.Symlink(ctx, "/work/precious", "/work/link"), nil)
	must("remove of a symlink", g.Remove(ctx, "/work/link", true), nil)
	if out := s.run(t, b, Program{Cat: "precious/file"}); out.stdout != "stays" {
		t.Errorf("the removal followed a symlink: %+v", out)
	}
}

// testReset empties a box in which programs run and deep directories are.
func (s *suite) testReset(t *testing.T) {
	b := s.create(t, s.spec())
	ctx := patient(t)
	daemon := s.launch(t, b, Program{Daemon: "daemon", Print: "up", Hang: true}, nil)
	daemon.prints(t, "up")
	if s.opts.NoBoundary {
		if err := b.guest.Reset(ctx); !errors.Is(err, syscall.EOPNOTSUPP) {
			t.Errorf("a reset among the host's own processes: %v", err)
		}
		return
	}
	for _, name := range []string{"/work/file", "/work" + strings.Repeat("/d", 300) + "/file", "/tmp/file"} {
		if err := b.guest.Put(ctx, name, 0o644, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	var id strings.Builder
	if _, err := b.guest.Get(ctx, "/work/daemon", 100, &id); err != nil {
		t.Fatal(err)
	}
	if err := b.guest.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if report := daemon.end(t); report.Status != uint32(syscall.SIGKILL) {
		t.Errorf("the program: %+v", report)
	}
	for _, dir := range []string{api.WorkDir, "/tmp"} {
		if list, err := b.guest.List(ctx, dir, 10); err != nil || len(list) > 0 {
			t.Errorf("%s: %+v, %v", dir, list, err)
		}
	}
	if out := s.run(t, b, Program{Write: "old", Content: id.String(), Alive: "old"}); out.Status == 0 {
		t.Errorf("the daemon lives: %+v", out)
	}
}
