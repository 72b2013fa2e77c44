package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/image"
)

var when = time.Date(2021, 2, 3, 4, 5, 6, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entry is one name of a layer: "dir/", "a -> b" (symlink), "a => b" (hard link),
// "a = text" (file), or only a name (an empty file).
func layer(t testing.TB, entries ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := tar.Header{Name: e, Typeflag: tar.TypeReg, Mode: 0o644, ModTime: when}
		data := ""
		if name, to, ok := strings.Cut(e, " -> "); ok {
			h.Name, h.Linkname, h.Typeflag = name, to, tar.TypeSymlink
		} else if name, to, ok := strings.Cut(e, " => "); ok {
			h.Name, h.Linkname, h.Typeflag = name, to, tar.TypeLink
		} else if name, text, ok := strings.Cut(e, " = "); ok {
			h.Name, data = name, text
			h.Size = int64(len(text))
		} else if name, ok := strings.CutPrefix(e, "char "); ok {
			h.Name, h.Typeflag = name, tar.TypeChar
		} else if strings.HasSuffix(e, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, data)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func spool(t testing.TB) *Spool {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "spool")
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return NewSpool(f)
}

// list describes what is in a tree: names with content or target.
func list(t testing.TB, tree *Tree) string {
	t.Helper()
	var out []string
	must(t, tree.Walk(func(p string, n *Node, first string) error {
		data, err := io.ReadAll(n.Reader())
		must(t, err)
		switch {
		case p == "":
			return nil
		case first != "":
			p += " => " + first
		case n.Kind == image.Symlink:
			p += " -> " + n.Target
		case n.IsDir():
			p += "/"
		case len(data) > 0:
			p += " = " + string(data)
		}
		out = append(out, p)
		return nil
	}))
	return strings.Join(out, " | ")
}

func TestLayers(t *testing.T) {
	for name, tc := range map[string]struct {
		layers [][]string
		want   string
	}{
		"the later of two wins":             {[][]string{{"a = 1", "a = 2"}}, "/a = 2"},
		"a directory becomes a file":        {[][]string{{"a/", "a/b = 1"}, {"a = 2"}}, "/a = 2"},
		"a file becomes a directory":        {[][]string{{"a = 1"}, {"a/", "a/b = 2"}}, "/a/ | /a/b = 2"},
		"a directory twice keeps its own":   {[][]string{{"a/", "a/b = 1"}, {"a/"}}, "/a/ | /a/b = 1"},
		"whiteout":                          {[][]string{{"a = 1", "d/b = 1"}, {".wh.a", "d/.wh.b"}}, "/d/"},
		"whiteout of a directory":           {[][]string{{"d/x/y = 1", "d/z = 1"}, {".wh.d"}}, ""},
		"whiteout of nothing":               {[][]string{{"a = 1"}, {".wh.b", "x/.wh.y"}}, "/a = 1"},
		"whiteout is for lower layers":      {[][]string{{"d/a = 1"}, {"d/b = 2", ".wh.d"}}, "/d/ | /d/b = 2"},
		"opaque":                            {[][]string{{"d/a = 1", "d/s/b = 1"}, {"d/c = 2", "d/.wh..wh..opq"}}, "/d/ | /d/c = 2"},
		"opaque first":                      {[][]string{{"d/a = 1"}, {"d/.wh..wh..opq", "d/c = 2"}}, "/d/ | /d/c = 2"},
		"opaque root":                       {[][]string{{"d/a = 1"}, {".wh..wh..opq", "c = 2"}}, "/c = 2"},
		"aufs notes":                        {[][]string{{".wh..wh.plnk/", ".wh..wh.aufs", "a = 1"}}, "/a = 1"},
		"overlay whiteout":                  {[][]string{{"a = 1", "b = 1"}, {"char a"}}, "/b = 1"},
		"hard link":                         {[][]string{{"a = 1", "b => a"}}, "/a = 1 | /b => /a"},
		"hard link to a lower layer":        {[][]string{{"a = 1"}, {"b => a", ".wh.a"}}, "/b = 1"},
		"below a symlink":                   {[][]string{{"lib -> usr/lib", "usr/lib/"}, {"lib/x = 1"}}, "/lib -> usr/lib | /usr/ | /usr/lib/ | /usr/lib/x = 1"},
		"a symlink becomes a directory":     {[][]string{{"lib -> usr/lib", "usr/lib/"}, {"lib/"}}, "/lib/ | /usr/ | /usr/lib/"},
		"absolute names are below the root": {[][]string{{"/etc/x = 1", "//y = 1", "./z = 1"}}, "/etc/ | /etc/x = 1 | /y = 1 | /z = 1"},
		"whiteout through a symlink":        {[][]string{{"usr/lib/x = 1", "lib -> usr/lib"}, {"lib/.wh.x"}}, "/lib -> usr/lib | /usr/ | /usr/lib/"},
	} {
		t.Run(name, func(t *testing.T) {
			tree, s := New(Limits{}), spool(t)
			for _, l := range tc.layers {
				must(t, tree.Apply(t.Context(), bytes.NewReader(layer(t, l...)), s))
			}
			if got := list(t, tree); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// TestHostileLayers: what is refused names the entry, the rest stays inside.
func TestHostileLayers(t *testing.T) {
	outside := t.TempDir()
	escape := filepath.Join(outside, "escaped")
	many := make([]string, 400)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	deep := strings.Repeat("d/", 200) + "x"
	for name, tc := range map[string]struct {
		entries []string
		refused string // "" when it is harmless
		want    string
	}{
		"dot dot":                     {entries: []string{"../x = 1"}, refused: ".. in it"},
		"dot dot within":              {entries: []string{"a/../../x = 1"}, refused: ".. in it"},
		"dot dot as a directory":      {entries: []string{"../"}, refused: ".. in it"},
		"dot dot whiteout":            {entries: []string{"../.wh.x"}, refused: ".. in it"},
		"dot dot opaque":              {entries: []string{"../.wh..wh..opq"}, refused: ".. in it"},
		"whiteout named dot dot":      {entries: []string{"a/.wh..."}, refused: "root"},
		"symlink then file":           {entries: []string{"out -> " + outside, "out/escaped = 1"}, want: "/out -> " + outside},
		"relative symlink then file":  {entries: []string{"d/out -> ../../../../../.." + outside, "d/out/escaped = 1"}},
		"symlink loop then file":      {entries: []string{"a -> b", "b -> a", "a/x = 1"}, refused: "not a directory"},
		"symlink to itself then file": {entries: []string{"a -> a", "a/x = 1"}, refused: "not a directory"},
		"hard link out":               {entries: []string{"x => ../../etc/passwd"}, refused: ".. in it"},
		"hard link to a host's path":  {entries: []string{"x => /etc/passwd"}, refused: "hard link to a name that is no file"},
		"hard link to a directory":    {entries: []string{"d/", "x => d"}, refused: "hard link"},
		"hard link to itself":         {entries: []string{"x => x"}, refused: "hard link"},
		"hard link via a symlink":     {entries: []string{"etc -> /etc", "x => etc/passwd"}, refused: "hard link"},
		"file as a parent":            {entries: []string{"a = 1", "a/b = 1"}, refused: "not a directory"},
		"the root as a file":          {entries: []string{". = 1"}, refused: "root"},
		"the root as a symlink":       {entries: []string{"./ -> /etc"}, refused: "root"},
		"the root taken away":         {entries: []string{".wh."}, refused: "root"},
		"too deep":                    {entries: []string{deep + " = 1"}, refused: "deeper"},
		"deep through a symlink":      {entries: []string{strings.Repeat("d/", 120), "s -> " + strings.Repeat("d/", 119), "s/" + strings.Repeat("e/", 100) + "x"}, want: "*"},
		"a long name":                 {entries: []string{strings.Repeat("n", 300)}, refused: "longer than 255"},
		"a long target":               {entries: []string{"s -> " + strings.Repeat("t", 5000)}, refused: "symlink target"},
		"an empty target":             {entries: []string{"s -> "}, refused: "symlink target"},
		"too many names":              {entries: many, refused: "too many files"},
		"too many times one name":     {entries: append(make([]string, 0), strings.Split(strings.Repeat("a,", 301)+"a", ",")...), refused: "too many files"},
		"too large together":          {entries: []string{"a = " + strings.Repeat("x", 600), "b = " + strings.Repeat("x", 600)}, refused: "larger than 1000B together"},
		"the same large file again":   {entries: []string{"a = " + strings.Repeat("x", 600), "a = " + strings.Repeat("x", 600)}, refused: "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := New(Limits{Entries: 300, Bytes: 1000})
			err := tree.Apply(t.Context(), bytes.NewReader(layer(t, tc.entries...)), spool(t))
			if tc.refused != "" {
				if api.CodeOf(err) != api.CodeInvalid || !strings.Contains(err.Error(), tc.refused) {
					t.Errorf("got %v, want a refusal with %q", err, tc.refused)
				}
			} else if tc.want != "*" {
				must(t, err)
			}
			if _, err := os.Lstat(escape); err == nil {
				t.Fatal("a host path was made")
			}
		})
	}
}

// TestManyEntriesStayCheap: what a layer asks for often is done once.
func TestManyEntriesStayCheap(t *testing.T) {
	var entries []string
	for i := range 20_000 {
		entries = append(entries, fmt.Sprintf("d/%d", i))
	}
	for range 20_000 {
		entries = append(entries, "d/.wh..wh..opq", ".wh.d")
	}
	tree, s := New(Limits{}), spool(t)
	data := layer(t, entries...)
	must(t, tree.Apply(t.Context(), bytes.NewReader(data), s))
	must(t, tree.Apply(t.Context(), bytes.NewReader(data), s))
	if got := len(tree.Lookup("/d").Names()); got != 20_000 {
		t.Errorf("%d names", got)
	}
}

func TestAttributes(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "su", Typeflag: tar.TypeReg, Mode: 0o6755, Uid: 7, Gid: 8, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}},
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
		{Name: "fifo", Typeflag: tar.TypeFifo}, {Name: "sda", Typeflag: tar.TypeBlock, Devmajor: 8},
		{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
	} {
		h.ModTime = when
		must(t, w.WriteHeader(&h))
	}
	must(t, w.Close())
	tree := New(Limits{})
	must(t, tree.Apply(t.Context(), &b, spool(t)))
	if got := list(t, tree); got != "/su | /tmp/" {
		t.Errorf("got %s", got)
	}
	if n := tree.Lookup("/su"); n.Mode != 0o755 || n.UID != 7 || n.GID != 8 || !n.MTime.Equal(when) {
		t.Errorf("su: %+v", n)
	}
	if n := tree.Lookup("/tmp"); n.Mode != 0o1777 {
		t.Errorf("tmp: %+v", n)
	}
}

// delta applies a layer to a delta and writes it again, canonical.
func delta(t testing.TB, data []byte) []byte {
	t.Helper()
	d := NewDelta(Limits{})
	must(t, d.Apply(t.Context(), bytes.NewReader(data), spool(t)))
	d.ClampTimes(when)
	var b bytes.Buffer
	must(t, d.WriteLayer(t.Context(), &b, image.All))
	return b.Bytes()
}

// TestCanonicalLayer: the order of entries and the time do not matter, what is
// said of lower layers survives, and writing it again changes nothing.
func TestCanonicalLayer(t *testing.T) {
	a := delta(t, layer(t, "d/", "d/b = 1", "d/a = 2", "x/.wh..wh..opq", "y/.wh.gone", "char z", "l => d/b", "s -> d", "x/new"))
	b := delta(t, layer(t, "s -> d", "char z", "d/", "y/.wh.gone", "d/a = 2", "d/b = 1", "l => d/b", "x/new", "x/.wh..wh..opq"))
	if !bytes.Equal(a, b) {
		t.Error("the order of entries matters")
	}
	if !bytes.Equal(a, delta(t, a)) {
		t.Error("it is not canonical")
	}
	tree, s := New(Limits{}), spool(t)
	must(t, tree.Apply(t.Context(), bytes.NewReader(layer(t, "x/old", "y/gone", "y/stays", "z", "d/c = 3")), s))
	f, err := os.CreateTemp(t.TempDir(), "layer")
	must(t, err)
	defer f.Close()
	_, err = f.Write(a)
	must(t, err)
	must(t, tree.ApplyFile(t.Context(), f))
	want := "/d/ | /d/a = 2 | /d/b = 1 | /d/c = 3 | /l => /d/b | /s -> d | /x/ | /x/new | /y/ | /y/stays"
	if got := list(t, tree); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := tree.Lookup("/d/a"); !n.MTime.Equal(image.Epoch) {
		t.Errorf("time %s", n.MTime)
	}
}

// TestImageRoundTrip: a tree that was written as an image is the same again.
func TestImageRoundTrip(t *testing.T) {
	tree := New(Limits{})
	must(t, tree.Apply(t.Context(), bytes.NewReader(layer(t, "d/", "d/b = 1", "l => d/b", "s -> d", "e")), spool(t)))
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	w, err := image.NewWriter(f, image.Limits{})
	must(t, err)
	must(t, tree.WriteImage(t.Context(), w, func(p string) bool { return p != "/e" }))
	_, err = w.Finish(t.Context())
	must(t, err)
	img, err := image.Open(path)
	must(t, err)
	defer img.Close()
	again := New(Limits{})
	must(t, again.LoadImage(t.Context(), img, image.All))
	if got := list(t, again); got != "/d/ | /d/b = 1 | /l => /d/b | /s -> d" {
		t.Errorf("got %s", got)
	}
}

func TestCutShort(t *testing.T) {
	data := layer(t, "a = "+strings.Repeat("x", 2000))
	err := New(Limits{}).Apply(t.Context(), bytes.NewReader(data[:1000]), spool(t))
	if api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(Limits{}).Apply(ctx, bytes.NewReader(data), spool(t)); api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("got %v", err)
	}
}

// FuzzApply: whatever a layer says, applying it ends, every name of the tree can
// be written into an image or is refused, and the canonical form is stable.
func FuzzApply(f *testing.F) {
	f.Add(layer(f, "a = 1", "b -> a", "c => a", "d/", "d/.wh..wh..opq", ".wh.x", "char y"))
	f.Add(layer(f, "a -> b", "b -> a", "a/x = 1"))
	f.Add(layer(f, "../x", "/y"))
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := Limits{Entries: 2000, Bytes: 1 << 20}
		tree := New(limits)
		if tree.Apply(t.Context(), bytes.NewReader(data), spool(t)) == nil {
			out, err := os.CreateTemp(t.TempDir(), "image")
			must(t, err)
			defer out.Close()
			w, err := image.NewWriter(out, image.Limits{})
			must(t, err)
			if err := tree.WriteImage(t.Context(), w, image.All); err != nil && api.CodeOf(err) != api.CodeInvalid {
				t.Errorf("as an image: %v", err)
			}
		}
		d := NewDelta(limits)
		if d.Apply(t.Context(), bytes.NewReader(data), spool(t)) != nil {
			return
		}
		var first, second bytes.Buffer
		if d.WriteLayer(t.Context(), &first, image.All) != nil {
			return // a name that no tar can hold
		}
		again := NewDelta(Limits{Entries: 1 << 20})
		if again.Apply(t.Context(), bytes.NewReader(first.Bytes()), spool(t)) != nil {
			return // deeper than names may be, through symlinks
		}
		must(t, again.WriteLayer(t.Context(), &second, image.All))
		third := NewDelta(Limits{Entries: 1 << 20})
		must(t, third.Apply(t.Context(), bytes.NewReader(second.Bytes()), spool(t)))
		var last bytes.Buffer
		must(t, third.WriteLayer(t.Context(), &last, image.All))
		if !bytes.Equal(second.Bytes(), last.Bytes()) {
			t.Error("the canonical form is not stable")
		}
	})
}
