package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// archive makes a tar of headers; files are filled with x.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		must(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

func mkfifo(t testing.TB, path string) {
	t.Helper()
	must(t, unix.Mkfifo(path, 0o644))
}

func TestTarKeepsOwnersAndLinks(t *testing.T) {
	data := archive(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/su", Typeflag: tar.TypeReg, Mode: 0o4755, Size: 3, Uid: 7, Gid: 8, ModTime: when},
		tar.Header{Name: "./bin/hard", Typeflag: tar.TypeLink, Linkname: "./bin/su"},
		tar.Header{Name: "./lib", Typeflag: tar.TypeSymlink, Linkname: "usr/lib"},
		tar.Header{Name: "./dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		tar.Header{Name: "./fifo", Typeflag: tar.TypeFifo},
		tar.Header{Name: "./usr/share/doc/x", Typeflag: tar.TypeReg, Size: 1},
		tar.Header{Name: "./xattr", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}},
	)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(data)
	must(t, err)
	must(t, z.Close())
	keep := func(p string) bool { return !strings.HasPrefix(p, "/usr/share/doc") }
	for name, in := range map[string][]byte{"plain": data, "gzip": zipped.Bytes()} {
		path, _, err := build(t, Limits{}, func(w *Writer) error { return w.AddTar(t.Context(), bytes.NewReader(in), keep) })
		must(t, err)
		got := read(t, path)
		want := seen{Mode: typeFile | 0o755, UID: 7, GID: 8, Nlink: 2, MTime: when.Unix(), Data: "xxx"}
		if got["/bin/su"] != want || got["/bin/hard"] != want {
			t.Errorf("%s: su %+v, hard link %+v", name, got["/bin/su"], got["/bin/hard"])
		}
		if len(got) != 6 { // the root, bin, two names in it, lib, xattr
			t.Errorf("%s: names %v", name, got)
		}
	}
}

func TestHostileTar(t *testing.T) {
	many := make([]tar.Header, 300)
	for i := range many {
		many[i] = tar.Header{Name: fmt.Sprint(i), Typeflag: tar.TypeReg}
	}
	longNames := make([]tar.Header, 20)
	for i := range longNames {
		longNames[i] = tar.Header{Name: fmt.Sprint(i), Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("t", maxTarget)}
	}
	cases := map[string][]tar.Header{
		"parent":                 {{Name: "../etc/passwd", Typeflag: tar.TypeReg}},
		"parent inside":          {{Name: "a/../../b", Typeflag: tar.TypeReg}},
		"symlink then file":      {{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, {Name: "a/passwd", Typeflag: tar.TypeReg, Size: 1}},
		"file then file below":   {{Name: "a", Typeflag: tar.TypeReg}, {Name: "a/b", Typeflag: tar.TypeReg}},
		"hard link outside":      {{Name: "a", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
		"hard link upwards":      {{Name: "a", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"}},
		"hard link to directory": {{Name: "d", Typeflag: tar.TypeDir}, {Name: "a", Typeflag: tar.TypeLink, Linkname: "d"}},
		"hard link to itself":    {{Name: "a", Typeflag: tar.TypeLink, Linkname: "a"}},
		"directory vanishes":     {{Name: "d/f", Typeflag: tar.TypeReg}, {Name: "d", Typeflag: tar.TypeReg}},
		"root is a file":         {{Name: "./", Typeflag: tar.TypeSymlink, Linkname: "x"}},
		"long name":              {{Name: strings.Repeat("n", 256), Typeflag: tar.TypeReg}},
		"deep":                   {{Name: strings.Repeat("d/", maxDepth) + "f", Typeflag: tar.TypeReg}},
		"long target":            {{Name: "s", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("t", maxTarget+1)}},
		"too many":               many,
		"too many long targets":  longNames,
		"too many left out":      many[:0:0],
		"too large":              {{Name: "a", Typeflag: tar.TypeReg, Size: 600_000}, {Name: "b", Typeflag: tar.TypeReg, Size: 600_000}},
		"too large replaced":     {{Name: "a", Typeflag: tar.TypeReg, Size: 600_000}, {Name: "a", Typeflag: tar.TypeReg, Size: 600_000}},
		"empty":                  {},
	}
	for i := range 300 {
		cases["too many left out"] = append(cases["too many left out"], tar.Header{Name: fmt.Sprint("skip/", i), Typeflag: tar.TypeReg})
	}
	for name, headers := range cases {
		t.Run(name, func(t *testing.T) {
			data := archive(t, headers...)
			_, _, err := build(t, Limits{Entries: 200, Bytes: 1 << 20}, func(w *Writer) error {
				return w.AddTar(t.Context(), bytes.NewReader(data), func(p string) bool { return !strings.HasPrefix(p, "/skip") })
			})
			if api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
				t.Errorf("error %v with code %s, want invalid with a fix", err, api.CodeOf(err))
			}
		})
	}
}

func TestTarCutShort(t *testing.T) {
	data := archive(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 5000}, tar.Header{Name: "b", Typeflag: tar.TypeReg, Size: 5000})
	for _, n := range []int{0, 1, 511, 513, 3000, 6000} {
		_, _, err := build(t, Limits{}, func(w *Writer) error { return w.AddTar(t.Context(), bytes.NewReader(data[:n]), All) })
		if api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%d bytes: error %v, want invalid", n, err)
		}
	}
}

// A sparse file names a size that it does not carry: it must not become zeros
// on our disk.
func TestTarSparseBomb(t *testing.T) {
	h := tar.Header{Name: "bomb", Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatPAX, Size: 512}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&h))
	_, err := w.Write(make([]byte, 512))
	must(t, err)
	must(t, w.Close())
	raw := sparse(t, b.Bytes())
	_, _, err = build(t, Limits{Bytes: 1 << 30}, func(w *Writer) error { return w.AddTar(t.Context(), bytes.NewReader(raw), All) })
	if api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("error %v, want invalid", err)
	}
}

// sparse turns the first header into an old GNU sparse file of a terabyte.
func sparse(t testing.TB, raw []byte) []byte {
	t.Helper()
	h := raw[:512]
	copy(h[257:265], "ustar  \x00")
	h[156] = 'S'
	copy(h[386:398], "00000000000\x00") // one piece of data at 0
	copy(h[398:410], "00000001000\x00") // of 512 bytes
	clear(h[410:482])
	copy(h[483:495], "\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00") // real size 2^40
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return raw
}

func FuzzTar(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "a/b", Typeflag: tar.TypeReg, Size: 10}, tar.Header{Name: "s", Typeflag: tar.TypeSymlink, Linkname: "a"}))
	f.Add(archive(f, tar.Header{Name: "a", Typeflag: tar.TypeReg}, tar.Header{Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}))
	f.Add(archive(f, tar.Header{Name: "../a", Typeflag: tar.TypeDir}))
	f.Add(sparse(f, archive(f, tar.Header{Name: "sparse", Typeflag: tar.TypeReg, Size: 512})))
	f.Fuzz(func(t *testing.T, data []byte) {
		fd, err := unix.MemfdCreate("image", unix.MFD_CLOEXEC)
		must(t, err)
		f := os.NewFile(uintptr(fd), "image")
		defer f.Close()
		w, err := NewWriter(f, Limits{Entries: 500, Bytes: 1 << 20})
		must(t, err)
		if err := w.AddTar(t.Context(), bytes.NewReader(data), All); err != nil {
			if c := api.CodeOf(err); c != api.CodeInvalid {
				t.Fatalf("code %s for %v", c, err)
			}
			return
		}
		_, err = w.Finish(t.Context())
		must(t, err)
		read(t, fmt.Sprintf("/proc/self/fd/%d", fd)) // what was taken must be an image that gVisor reads
	})
}
