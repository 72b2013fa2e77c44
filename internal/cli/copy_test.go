package cli

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// memBox is a sandbox that has only files: what its guest says, lies included.
type memBox struct {
	host.Sandbox
	files map[string]string         // path inside → content
	dirs  map[string][]api.FileInfo // path inside → what List answers
}

func (b *memBox) Put(_ context.Context, p string, _ fs.FileMode, r io.Reader) error {
	data, err := io.ReadAll(r)
	b.files[p] = string(data)
	return err
}

func (b *memBox) Get(_ context.Context, p string, max int64, w io.Writer) (api.FileInfo, error) {
	data, ok := b.files[p]
	if !ok {
		return api.FileInfo{}, api.Errorf(api.CodeNotFound, "cannot read %s: because it does not exist", p)
	}
	if int64(len(data)) > max {
		return api.FileInfo{}, api.Errorf(api.CodeInvalid, "cannot read %s: because it is too large", p)
	}
	_, err := io.WriteString(w, data)
	return api.FileInfo{Path: p, Kind: api.FileRegular, Size: int64(len(data)), Mode: 0o644}, err
}

func (b *memBox) List(_ context.Context, dir string, _ int) ([]api.FileInfo, error) {
	if l, ok := b.dirs[dir]; ok {
		return l, nil
	}
	return nil, api.Errorf(api.CodeInvalid, "cannot list %s: because it is not a directory", dir)
}

func TestCopyIn(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.txt"), "A")
	write(t, filepath.Join(dir, "sub/b.txt"), "B")
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	box := &memBox{files: map[string]string{}}
	var log bytes.Buffer
	c := copier{box: box, log: &log}
	pairs, err := parseCopyIn([]string{dir + ":in", filepath.Join(dir, "a.txt") + ":/etc/", filepath.Join(dir, "a.txt") + ":x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		if err := c.copyIn(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"/work/in/a.txt": "A", "/work/in/sub/b.txt": "B", "/etc/a.txt": "A", "/work/x": "A"}
	if len(box.files) != len(want) {
		t.Errorf("got %v, want %v", box.files, want)
	}
	for p, content := range want {
		if box.files[p] != content {
			t.Errorf("%s is %q, want %q", p, box.files[p], content)
		}
	}
	if !strings.Contains(log.String(), "link") {
		t.Errorf("the left out link was not named: %q", log.String())
	}
}

func TestCopyInRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, s := range map[string]string{
		"no destination": "a", "an empty one": "a:", "no source": ":b", "a missing file": filepath.Join(dir, "none") + ":x",
	} {
		if _, err := parseCopyIn([]string{s}); api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	c := copier{box: &memBox{files: map[string]string{}}, log: io.Discard}
	if err := c.copyIn(t.Context(), copyPair{inside: "/work/x", host: "/dev/null"}); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("a device: got %v", err)
	}
}

func TestCopyOutStaysInside(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "victim"), "precious")
	out := filepath.Join(t.TempDir(), "out")
	// The destination already has a link that leads out of it.
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(out, "planted")); err != nil {
		t.Fatal(err)
	}
	for name, entries := range map[string][]api.FileInfo{
		"parent":        {{Path: "..", Kind: api.FileDir}},
		"self":          {{Path: ".", Kind: api.FileRegular}},
		"empty":         {{Path: "", Kind: api.FileRegular}},
		"symlink":       {{Path: "victim", Kind: api.FileSymlink}},
		"a fifo":        {{Path: "fifo", Kind: api.FileOther}},
		"planted":       {{Path: "planted", Kind: api.FileDir}},
		"path in name":  {{Path: "../../victim", Kind: api.FileRegular}},
		"absolute name": {{Path: "/etc/victim", Kind: api.FileRegular}},
	} {
		t.Run(name, func(t *testing.T) {
			box := &memBox{
				files: map[string]string{"/work/d/victim": "evil", "/work/d/planted/victim": "evil"},
				dirs: map[string][]api.FileInfo{
					"/work/d":         entries,
					"/work/d/planted": {{Path: "victim", Kind: api.FileRegular}},
				},
			}
			c := copier{box: box, log: io.Discard}
			err := c.copyOut(t.Context(), copyPair{inside: "/work/d", host: out})
			if name == "planted" && err == nil {
				t.Error("writing through a link out of the destination did not fail")
			}
			if b, _ := os.ReadFile(filepath.Join(outside, "victim")); string(b) != "precious" {
				t.Fatalf("the file outside is now %q", b)
			}
		})
	}
}

func TestCopyOut(t *testing.T) {
	dir := t.TempDir()
	box := &memBox{
		files: map[string]string{"/work/r.txt": "R", "/work/d/a": "A", "/work/d/e/b": "B"},
		dirs: map[string][]api.FileInfo{
			"/work/d":   {{Path: "a", Kind: api.FileRegular}, {Path: "e", Kind: api.FileDir}},
			"/work/d/e": {{Path: "b", Kind: api.FileRegular}},
		},
	}
	pairs, err := parseCopyOut([]string{"r.txt:" + filepath.Join(dir, "r"), "r.txt:" + dir, "d:" + filepath.Join(dir, "new")})
	if err != nil {
		t.Fatal(err)
	}
	c := copier{box: box, log: io.Discard}
	for _, p := range pairs {
		if err := c.copyOut(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"r": "R", "r.txt": "R", "new/a": "A", "new/e/b": "B"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); string(b) != want {
			t.Errorf("%s is %q (%v), want %q", name, b, err, want)
		}
	}
}

func TestCopyOutKeepsWhatWasThere(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "r")
	write(t, dst, "old")
	c := copier{box: &memBox{}, log: io.Discard}
	err := c.copyOut(t.Context(), copyPair{inside: "/work/none", host: dst})
	if api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(dst); string(b) != "old" {
		t.Errorf("the old file is now %q", b)
	}
	if names, _ := filepath.Glob(dst + "*"); len(names) != 1 {
		t.Errorf("left %v", names)
	}
}

func TestCopyBounds(t *testing.T) {
	deep := map[string][]api.FileInfo{}
	p := "/work/d"
	for range maxCopyDepth + 5 {
		deep[p] = []api.FileInfo{{Path: "d", Kind: api.FileDir}}
		p = path.Join(p, "d")
	}
	var log bytes.Buffer
	c := copier{box: &memBox{dirs: deep}, log: &log}
	if err := c.copyOut(t.Context(), copyPair{inside: "/work/d", host: filepath.Join(t.TempDir(), "out")}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "too deep") {
		t.Errorf("an endless tree was not named: %q", log.String())
	}
	for range 1000 {
		c.skip("x", "testing")
	}
	if n := strings.Count(log.String(), "\n"); n > maxSkipNotes+1 {
		t.Errorf("%d notes of what was left out", n)
	}
	if err := c.count(maxCopyBytes + 1); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("too many bytes: %v", err)
	}
	c = copier{files: maxCopyFiles}
	if err := c.count(0); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("too many files: %v", err)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
