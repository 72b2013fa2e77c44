package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gvisor.dev/gvisor/pkg/erofs"

	"github.com/brigdev/brig/api"
)

// seen is one name of an image as gVisor's own reader shows it.
type seen struct {
	Mode     uint16
	UID, GID uint32
	Nlink    uint32
	MTime    int64
	Data     string // of a file, or a symlink's target
}

// read walks a whole image with the reader that sandboxes use, and looks every
// name up as well, which takes another path through a directory.
func read(t testing.TB, path string) map[string]seen {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := erofs.OpenImage(f)
	if err != nil {
		t.Fatalf("gVisor does not read the image: %v", err)
	}
	defer img.Close()
	out := map[string]seen{}
	var walk func(nid uint64, path string)
	walk = func(nid uint64, path string) {
		in, err := img.Inode(nid)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		s := seen{Mode: in.Mode(), UID: in.UID(), GID: in.GID(), Nlink: in.Nlink(), MTime: int64(in.Mtime())}
		switch {
		case in.IsRegular():
			if _, err := in.DataOffset(); err != nil {
				t.Fatalf("%s cannot be mapped: %v", path, err)
			}
			ranges, err := in.DataRanges()
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			s.Data = string(ranges[0].Bytes)
		case in.IsSymlink():
			if s.Data, err = in.Readlink(); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		out[path] = s
		if !in.IsDir() {
			return
		}
		err = in.IterDirents(func(name string, _ uint8, child uint64) error {
			if got, err := in.Lookup(name); err != nil || got != child {
				return fmt.Errorf("lookup of %q gave %d, %v and not %d", name, got, err, child)
			}
			if name != "." && name != ".." {
				walk(child, path+"/"+name)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	walk(img.RootNid(), "")
	return out
}

// build writes an image and says where it is.
func build(t testing.TB, lim Limits, fill func(w *Writer) error) (string, Info, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.erofs")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(f, lim)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(w); err != nil {
		return "", Info{}, err
	}
	info, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return path, info, nil
}

var when = time.Unix(1_700_000_000, 0)

func file(path, data string) Content {
	return Content{Entry{Path: path, Mode: 0o644, MTime: when}, []byte(data)}
}

func dir(path string) Content {
	return Content{Entry: Entry{Path: path, Kind: Dir, Mode: 0o755, MTime: when}}
}

func symlink(path, target string) Content {
	return Content{Entry: Entry{Path: path, Kind: Symlink, Target: target, MTime: when}}
}

func TestRoundTrip(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<16) + "tail"
	contents := []Content{
		dir("/"), dir("/etc"), file("/etc/hosts", "127.0.0.1 localhost\n"), file("/empty", ""),
		file("/block", strings.Repeat("x", blockSize)), file("/big", big),
		symlink("/short", "etc"), symlink("/long", "/"+strings.Repeat("d/", 2000)), symlink("/edge", strings.Repeat("e", maxTarget)),
		{Entry{Path: "/work/run", Mode: 0o6750, UID: 1000, GID: 70_000, MTime: when}, []byte("#!/bin/sh\n")},
		{Entry: Entry{Path: "/tmp", Kind: Dir, Mode: 0o1777, MTime: when}},
		file("/"+strings.Repeat("d/", maxDepth-1)+"deep", "deep"),
		file("/names/"+strings.Repeat("n", maxName), "long"), file("/names/-before-the-dots", ""), file("/names/ü", "utf-8"),
		file("/names/\xff\xfe", "not utf-8"),
	}
	for i := range 5000 {
		contents = append(contents, file(fmt.Sprintf("/many/%05d-%s", i, strings.Repeat("m", i%200)), fmt.Sprint(i)))
	}
	path, info, err := build(t, Limits{}, func(w *Writer) error {
		if err := w.AddContents(t.Context(), contents); err != nil {
			return err
		}
		if err := w.Link("/etc/again", "/etc/hosts"); err != nil {
			return err
		}
		return w.Link("/again", "/short")
	})
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, path)
	for _, c := range contents {
		want := seen{UID: c.UID, GID: c.GID, MTime: when.Unix(), Nlink: 1, Data: string(c.Data)}
		switch c.Kind {
		case File:
			want.Mode = typeFile | uint16(c.Mode&permMask)
		case Dir:
			want.Mode, want.Nlink = typeDir|uint16(c.Mode), got[strings.TrimSuffix(c.Path, "/")].Nlink
		case Symlink:
			want.Mode, want.Data = typeSymlink|0o777, c.Target
		}
		if c.Path == "/etc/hosts" || c.Path == "/short" {
			want.Nlink = 2
		}
		if diff := cmp.Diff(want, got[strings.TrimSuffix(c.Path, "/")]); diff != "" {
			t.Errorf("%.60q differs (-want +got):\n%.2000s", c.Path, diff)
		}
	}
	if diff := cmp.Diff(got["/etc/hosts"], got["/etc/again"]); diff != "" {
		t.Errorf("hard links differ:\n%s", diff)
	}
	if n := got[""].Nlink; n != 8 { // two of its own, and etc, work, tmp, d, names, many
		t.Errorf("links of the root: %d", n)
	}
	if st, _ := os.Stat(path); st.Size() != info.Bytes || st.Size()%blockSize != 0 {
		t.Errorf("size %d, said to be %d, want whole blocks", st.Size(), info.Bytes)
	}
}

func TestSameTreeSameBytes(t *testing.T) {
	source := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(source, "usr/lib"), 0o755))
	for i := range 300 {
		name := filepath.Join(source, "usr/lib", fmt.Sprint(i))
		must(t, os.WriteFile(name, fmt.Append(nil, i), 0o644))
		must(t, os.Chtimes(name, when, when))
	}
	must(t, os.Chtimes(filepath.Join(source, "usr/lib"), when, when))
	make := func() Info {
		_, info, err := build(t, Limits{}, func(w *Writer) error { return w.AddDir(t.Context(), source, All) })
		must(t, err)
		return info
	}
	first, second := make(), make()
	if first != second {
		t.Errorf("two images of one tree: %+v and %+v", first, second)
	}
	must(t, os.WriteFile(filepath.Join(source, "usr/lib/7"), []byte("8"), 0o644))
	must(t, os.Chtimes(filepath.Join(source, "usr/lib/7"), when, when))
	if third := make(); third.Digest == first.Digest {
		t.Error("another tree has the same digest")
	}
}

func TestAddDirTakesOnlyWhatASandboxCanUse(t *testing.T) {
	source := t.TempDir()
	must(t, os.WriteFile(filepath.Join(source, "a"), []byte("a"), 0o4755))
	must(t, os.Chmod(filepath.Join(source, "a"), 0o755|os.ModeSetuid))
	must(t, os.Link(filepath.Join(source, "a"), filepath.Join(source, "b")))
	must(t, os.Symlink("/etc/passwd", filepath.Join(source, "passwd")))
	must(t, os.Symlink("/etc", filepath.Join(source, "etc")))
	mkfifo(t, filepath.Join(source, "fifo"))
	must(t, os.MkdirAll(filepath.Join(source, "skip/this"), 0o755))
	path, _, err := build(t, Limits{}, func(w *Writer) error {
		return w.AddDir(t.Context(), source, func(p string) bool { return p != "/skip" })
	})
	must(t, err)
	got := read(t, path)
	if len(got) != 5 {
		t.Errorf("names: %v", got)
	}
	if got["/a"].Mode != typeFile|0o755 || got["/a"].Nlink != 2 || got["/b"].Data != "a" {
		t.Errorf("a: %+v, b: %+v", got["/a"], got["/b"])
	}
	if got["/passwd"].Data != "/etc/passwd" || got["/etc"].Mode&typeMask != typeSymlink {
		t.Errorf("a symlink was followed: %+v", got)
	}
}

func TestAddImageCopiesAll(t *testing.T) {
	contents := []Content{dir("/"), dir("/d"), file("/d/f", "data"), file("/drop", "x"), symlink("/s", "d/f")}
	fill := func(w *Writer) error {
		if err := w.AddContents(t.Context(), contents); err != nil {
			return err
		}
		return w.Link("/d/g", "/d/f")
	}
	first, _, err := build(t, Limits{}, fill)
	must(t, err)
	second, _, err := build(t, Limits{}, func(w *Writer) error {
		return w.AddImage(t.Context(), first, func(p string) bool { return p != "/drop" })
	})
	must(t, err)
	want, got := read(t, first), read(t, second)
	delete(want, "/drop")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the copy differs (-want +got):\n%s", diff)
	}
}

func TestLaterWins(t *testing.T) {
	path, _, err := build(t, Limits{}, func(w *Writer) error {
		return w.AddContents(t.Context(), []Content{
			file("/f", "old"), file("/f", "new"), symlink("/s", "f"), file("/s", "file"), dir("/e"), file("/e", "was a directory"),
			file("/d/in", "in"), {Entry: Entry{Path: "/d", Kind: Dir, Mode: 0o700}}, file("/x", "x"), dir("/x"),
		})
	})
	must(t, err)
	got := read(t, path)
	for name, want := range map[string]string{"/f": "new", "/s": "file", "/e": "was a directory", "/d/in": "in"} {
		if got[name].Data != want {
			t.Errorf("%s is %q, want %q", name, got[name].Data, want)
		}
	}
	if got["/d"].Mode != typeDir|0o700 || got["/x"].Mode != typeDir|0o755 {
		t.Errorf("d %o, x %o", got["/d"].Mode, got["/x"].Mode)
	}
}

func TestClampTimes(t *testing.T) {
	path, _, err := build(t, Limits{}, func(w *Writer) error {
		w.ClampTimes(when)
		older := file("/older", "")
		older.MTime = when.Add(-time.Second)
		if w.Has("/older") {
			t.Error("it has what was not put")
		}
		if err := w.AddContents(t.Context(), []Content{file("/new", ""), older}); err != nil {
			return err
		}
		if !w.Has("older") || w.Has("/older/x") || w.Has("../older") {
			t.Error("it does not know what it has")
		}
		return nil
	})
	must(t, err)
	got := read(t, path)
	if got["/new"].MTime != Epoch.Unix() || got["/older"].MTime != when.Unix()-1 {
		t.Errorf("new %d, older %d", got["/new"].MTime, got["/older"].MTime)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := build(t, Limits{}, func(w *Writer) error {
		return w.AddTar(ctx, bytes.NewReader(archive(t, tar.Header{Name: "f", Size: 1, Typeflag: tar.TypeReg})), All)
	})
	if api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("error %v with code %s, want cancelled", err, api.CodeOf(err))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
