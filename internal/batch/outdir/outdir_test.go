package outdir_test

import (
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/outdir"
)

func made(t *testing.T) outdir.Dir {
	t.Helper()
	d := outdir.Dir(filepath.Join(t.TempDir(), "out"))
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFolderName(t *testing.T) {
	for in, want := range map[string]string{
		"item-17":     "item-17",
		"a/b":         "a%2Fb",
		"..":          "%2E.",
		".hidden":     "%2Ehidden",
		"Größe":       "Gr%C3%B6%C3%9Fe",
		"a\x00\n%":    "a%00%0A%25",
		"~tilde":      "%7Etilde",
		"v1.2_x":      "v1.2_x",
		"../../etc/x": "%2E.%2F..%2Fetc%2Fx",
	} {
		if got := outdir.FolderName(in); got != want {
			t.Errorf("FolderName(%q) = %s, want %s", in, got, want)
		}
	}
	long, other := strings.Repeat("x", 400), strings.Repeat("x", 401)
	if a, b := outdir.FolderName(long), outdir.FolderName(other); a == b || len(a) > 200 || !strings.Contains(a, "~") {
		t.Errorf("long ids: %s and %s", a, b)
	}
}

func TestArtifactPath(t *testing.T) {
	for in, want := range map[string]string{
		"out/a.png": "out/a.png", "a b.txt": "a%20b.txt", "x/.git/y": "x/%2Egit/y", "\xff": "%FF",
	} {
		if got, ok := outdir.ArtifactPath(in); got != want || !ok {
			t.Errorf("ArtifactPath(%q) = %s, %v, want %s", in, got, ok, want)
		}
	}
	for _, bad := range []string{"", "/a", "a/", "a//b", "../a", "a/..", "./a", "a\x00", strings.Repeat("a/", 40) + "a"} {
		if got, ok := outdir.ArtifactPath(bad); ok {
			t.Errorf("ArtifactPath(%q) = %s", bad, got)
		}
	}
}

func FuzzArtifactPath(f *testing.F) {
	f.Add("../../etc/passwd")
	f.Add("a/b/c.png")
	f.Add("\x00/\xff/~")
	f.Fuzz(func(t *testing.T, s string) {
		if name, ok := outdir.ArtifactPath(s); ok {
			checkName(t, name)
			if strings.Count(name, "/") != strings.Count(s, "/") {
				t.Errorf("%q became %q", s, name)
			}
		}
		if s != "" {
			name := outdir.FolderName(s)
			checkName(t, name)
			if strings.Contains(name, "/") {
				t.Errorf("%q became the folder %q", s, name)
			}
		}
	})
}

// checkName wants a path that stays where it is put, whatever reads it.
func checkName(t *testing.T, name string) {
	t.Helper()
	if !filepath.IsLocal(name) || filepath.Clean(name) != name {
		t.Errorf("%q is not local", name)
	}
	for _, part := range strings.Split(name, "/") {
		if len(part) > 255 || strings.HasPrefix(part, ".") || strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-%~") != "" {
			t.Errorf("%q has the component %q", name, part)
		}
	}
}

func TestArtifacts(t *testing.T) {
	d := made(t)
	for range 2 { // the second time the folder begins empty again
		a, err := d.OpenArtifacts("../id")
		if err != nil {
			t.Fatal(err)
		}
		f, err := a.Create("sub/a.txt")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		got, err := f.Commit()
		if want := (api.Artifact{Path: "sub/a.txt", Bytes: 5, SHA256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}); err != nil || got != want {
			t.Errorf("Commit = %+v, %v", got, err)
		}
		if f, err = a.Create("gone"); err != nil {
			t.Fatal(err)
		}
		if err := f.Discard(); err != nil {
			t.Errorf("Discard: %v", err)
		}
		if _, err := a.Create("sub/a.txt"); err == nil {
			t.Error("a file was made twice")
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(string(d), "artifacts", "*", "*"))
	if err != nil || len(names) != 1 {
		t.Errorf("files: %v, %v", names, err)
	}
}

// TestArtifactsStayInside plants a symbolic link where a folder will be written.
func TestArtifactsStayInside(t *testing.T) {
	d, outside := made(t), t.TempDir()
	a, err := d.OpenArtifacts("id")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := os.Symlink(outside, filepath.Join(string(d), "artifacts", "id", "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Create("link/escaped"); err == nil {
		t.Error("a file was written through a link")
	}
}

func TestResults(t *testing.T) {
	d := made(t)
	lines := func(s ...string) outdir.Lines {
		return func() iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				for _, l := range s {
					if !yield([]byte(l), nil) {
						return
					}
				}
			}
		}
	}
	digest := func(s ...string) (g outdir.Digest) {
		for _, l := range s {
			g.Add([]byte(l))
		}
		return g
	}
	r, err := d.OpenResults(digest(), lines())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []string{"b", "a"} {
		if err := r.Append([]byte(l)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	content := func() string {
		b, err := os.ReadFile(d.Results())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	// The order is free: nothing is rebuilt.
	if r, err = d.OpenResults(digest("a", "b"), lines("a", "b")); err != nil || content() != "b\na\n" {
		t.Errorf("%q, %v", content(), err)
	}
	if err := r.Rebuild(lines("a", "c")); err != nil || content() != "a\nc\n" {
		t.Errorf("rebuilt: %q, %v", content(), err)
	}
	if err := r.Append([]byte("d")); err != nil || content() != "a\nc\nd\n" {
		t.Errorf("appended: %q, %v", content(), err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenResults(digest("a"), lines("a")); err != nil || content() != "a\n" {
		t.Errorf("opened with less: %q, %v", content(), err)
	}
}

func TestIdentify(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "in")
	write := func(s string) outdir.Identity {
		t.Helper()
		if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := outdir.Identify(name)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	a, again, b := write("one"), write("one"), write("two")
	if a != again || a == b || a.Bytes != 3 {
		t.Errorf("%+v, %+v, %+v", a, again, b)
	}
	tree, err := outdir.Identify(dir)
	if err != nil || tree.Bytes != 3 {
		t.Errorf("%+v, %v", tree, err)
	}
	write("more")
	if other, err := outdir.Identify(dir); err != nil || other == tree {
		t.Errorf("a changed tree: %+v, %v", other, err)
	}
	if _, err := outdir.Identify(filepath.Join(dir, "no")); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("no input: %v", err)
	}
}

func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := outdir.Dir(filepath.Join(file, "out")).Make()
	if api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
		t.Errorf("Make below a file: %v", err)
	}
}
