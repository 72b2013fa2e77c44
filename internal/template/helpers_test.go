package template

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gvisor.dev/gvisor/pkg/erofs"

	"github.com/brigdev/brig/api"
)

// open opens a catalogue whose guest programs are small and whose host is a
// directory of the test's.
func open(t testing.TB, dir string, change ...func(o *Options)) *Catalog {
	t.Helper()
	o := Options{Agent: []byte("agent"), Runner: []byte("runner"), HostRoot: hostRoot(t)}
	for _, f := range change {
		f(&o)
	}
	c, err := Open(t.Context(), dir, o)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// hostRoot makes a directory that looks like a small host.
func hostRoot(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr/bin", "etc/alternatives", "etc/ssl/certs", "lib64"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for path, data := range map[string]string{
		"usr/bin/python3": "#!", "usr/bin/sh": "#!", "etc/passwd": "alice:x:501:", "etc/shadow": "secret", "etc/hostname": "alices-laptop",
		"etc/resolv.conf": "nameserver 10.0.0.1", "etc/ld.so.cache": "cache", "etc/ssl/certs/ca-certificates.crt": "CERT", "etc/ssl/certs/other.pem": "x",
	} {
		must(t, os.WriteFile(filepath.Join(root, path), []byte(data), 0o755))
	}
	must(t, os.Symlink("usr/bin", filepath.Join(root, "bin")))
	must(t, os.Symlink("/usr/bin/mawk", filepath.Join(root, "etc/alternatives/awk")))
	must(t, os.Symlink("/opt/node/bin/node", filepath.Join(root, "usr/bin/node")))
	return root
}

// rootTar is a root filesystem that somebody else made.
func rootTar(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range append([]string{"usr/bin/python3", "usr/bin/sh", "etc/shadow", "etc/hostname", "etc/passwd"}, files...) {
		must(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: 4}))
		_, err := w.Write([]byte("data"))
		must(t, err)
	}
	must(t, w.Close())
	path := filepath.Join(t.TempDir(), "root.tar")
	must(t, os.WriteFile(path, b.Bytes(), 0o644))
	return path
}

// names lists what is in an image, with the content of its files.
func names(t testing.TB, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	img, err := erofs.OpenImage(f)
	must(t, err)
	defer img.Close()
	out := map[string]string{}
	var walk func(nid uint64, path string)
	walk = func(nid uint64, path string) {
		in, err := img.Inode(nid)
		must(t, err)
		ranges, err := in.DataRanges()
		must(t, err)
		out[path] = ""
		if in.IsRegular() {
			out[path] = string(ranges[0].Bytes)
		}
		if !in.IsDir() {
			return
		}
		must(t, in.IterDirents(func(name string, _ uint8, nid uint64) error {
			if name != "." && name != ".." {
				walk(nid, path+"/"+name)
			}
			return nil
		}))
	}
	walk(img.RootNid(), "")
	return out
}

// buildTar builds a warm template from a tar.
func buildTar(t testing.TB, c *Catalog, name string, files ...string) Template {
	t.Helper()
	tm, err := c.Build(t.Context(), name, BuildOptions{From: rootTar(t, files...), Warm: []string{"json"}}, nil)
	must(t, err)
	return tm
}

func wantCode(t testing.TB, err error, code api.Code, fix string) {
	t.Helper()
	if err == nil || api.CodeOf(err) != code || !strings.Contains(api.FixOf(err), fix) {
		t.Errorf("error %v with code %q and fix %q, want code %q and a fix with %q", err, api.CodeOf(err), api.FixOf(err), code, fix)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// entries lists a directory of the catalogue.
func entries(t testing.TB, c *Catalog, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(c.path(dir))
	must(t, err)
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kill runs one test of this binary as a process that kills itself.
func kill(t testing.TB, test string, env ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(append(os.Environ(), "TMPDIR="+t.TempDir()), env...) // its own can't be removed by it
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%v: not killed but %v: %s", env, err, out)
	}
}

// tarFiles is a tar with those files.
func tarFiles(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		must(t, w.WriteHeader(&tar.Header{Name: pairs[i], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(pairs[i+1]))}))
		_, err := w.Write([]byte(pairs[i+1]))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// dockerArchive is an image of two layers as docker save writes it.
func dockerArchive(t testing.TB) string {
	t.Helper()
	one := tarFiles(t, "etc/os", "one", "gone", "x", "etc/passwd", "alice:x:7:8::/:/bin/sh\n", "dev/null", "no", "bin/sh", "#!")
	two := tarFiles(t, ".wh.gone", "", "etc/os", "two")
	config := fmt.Sprintf(`{"config":{"Env":["A=b"]},"rootfs":{"diff_ids":["sha256:%x","sha256:%x"]}}`, sha256.Sum256(one), sha256.Sum256(two))
	path := filepath.Join(t.TempDir(), "image.tar")
	must(t, os.WriteFile(path, tarFiles(t, "manifest.json", `[{"Config":"c.json","RepoTags":["app:1"],"Layers":["1.tar","2.tar"]}]`,
		"c.json", config, "1.tar", string(one), "2.tar", string(two)), 0o644))
	return path
}
