package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/klauspost/compress/zstd"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/rootfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tarOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range sorted(files) {
		must(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name]))}))
		_, err := io.WriteString(w, files[name])
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func sorted(m map[string]string) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	for i := range names {
		for j := range i {
			if names[i] < names[j] {
				names[i], names[j] = names[j], names[i]
			}
		}
	}
	return names
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	must(t, err)
	must(t, z.Close())
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	must(t, err)
	return z.EncodeAll(b, nil)
}

// layout is an OCI layout's files: three layers, each compressed in another way,
// the second of which takes a file of the first away.
func layout(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`}
	put := func(b []byte) string {
		d := digestOf(b)
		files["blobs/sha256/"+d[7:]] = string(b)
		return d
	}
	layers := [][]byte{
		tarOf(t, map[string]string{"etc/os": "one", "gone": "x"}),
		tarOf(t, map[string]string{".wh.gone": "", "etc/os": "two"}),
		tarOf(t, map[string]string{"bin/sh": "#!"}),
	}
	var diffs, list []string
	for i, l := range layers {
		diffs = append(diffs, digestOf(l))
		stored := [][]byte{l, gz(t, l), zst(t, l)}[i]
		list = append(list, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}`, put(stored), len(stored)))
	}
	config := fmt.Appendf(nil, `{"architecture":%q,"os":"linux","config":{"Env":["A=b"],"WorkingDir":"/w","User":"u","Cmd":["c"],"Entrypoint":["e"]},"rootfs":{"type":"layers","diff_ids":["%s"]}}`,
		runtime.GOARCH, strings.Join(diffs, `","`))
	m := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[%s]}`,
		put(config), len(config), strings.Join(list, ","))
	files["index.json"] = fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":%d,"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}`, put(m), len(m))
	return files
}

// dockerSave is the same image as 'docker save' writes it.
func dockerSave(t testing.TB, edit func(files map[string]string)) []byte {
	t.Helper()
	one, two := tarOf(t, map[string]string{"etc/os": "one", "gone": "x"}), tarOf(t, map[string]string{".wh.gone": "", "etc/os": "two"})
	config := fmt.Sprintf(`{"config":{"Env":["A=b"]},"rootfs":{"diff_ids":[%q,%q]}}`, digestOf(one), digestOf(two))
	files := map[string]string{
		"manifest.json": `[{"Config":"c.json","RepoTags":["app:1"],"Layers":["1/layer.tar","2/layer.tar"]}]`,
		"c.json":        config, "1/layer.tar": string(one), "2/layer.tar": string(two),
	}
	if edit != nil {
		edit(files)
	}
	return tarOf(t, files)
}

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(data), 0o644))
	}
}

func temp(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "temp")
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// unpack gives the files of an image.
func unpack(t testing.TB, img *Image) (map[string]string, error) {
	t.Helper()
	tree := rootfs.New(rootfs.Limits{})
	if err := img.Unpack(t.Context(), tree, rootfs.NewSpool(temp(t))); err != nil {
		return nil, err
	}
	got := map[string]string{}
	must(t, tree.Walk(func(p string, n *rootfs.Node, _ string) error {
		data, err := io.ReadAll(n.Reader())
		if !n.IsDir() {
			got[p] = string(data)
		}
		return err
	}))
	return got, nil
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "layout"), layout(t))
	tarred, saved := tarOf(t, layout(t)), dockerSave(t, nil)
	write(t, dir, map[string]string{
		"oci.tar": string(tarred), "oci.tar.gz": string(gz(t, tarred)), "saved.tar": string(saved), "saved.tgz": string(gz(t, saved)),
		"other.tar": string(tarOf(t, map[string]string{"bin/sh": "x"})), "text": "hello",
	})
	digests := map[string]bool{}
	for name, want := range map[string]bool{"layout": true, "oci.tar": true, "oci.tar.gz": false, "saved.tar": true, "other.tar": false, "text": false, ".": false, "none": false} {
		if got := Is(t.Context(), filepath.Join(dir, name)); got != want {
			t.Errorf("Is(%s) = %v", name, got)
		}
	}
	for _, name := range []string{"layout", "oci.tar", "oci.tar.gz", "saved.tar", "saved.tgz"} {
		img, err := OpenPath(t.Context(), filepath.Join(dir, name), "", temp(t))
		must(t, err)
		got, err := unpack(t, img)
		must(t, err)
		if got["/etc/os"] != "two" || got["/gone"] != "" || img.Config.Env[0] != "A=b" {
			t.Errorf("%s: %v %+v", name, got, img.Config)
		}
		if strings.Contains(name, "oci") {
			digests[img.Digest] = true
		}
		must(t, img.Close())
	}
	if len(digests) != 1 {
		t.Errorf("one image has the digests %v", digests)
	}
	for name, tag := range map[string]string{"layout": "v1", "saved.tar": "app:1"} {
		img, err := OpenPath(t.Context(), filepath.Join(dir, name), tag, temp(t))
		must(t, err)
		must(t, img.Close())
		if _, err := OpenPath(t.Context(), filepath.Join(dir, name), "nope", temp(t)); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s with a tag that is not there: %v", name, err)
		}
	}
	for _, name := range []string{"other.tar", "text", "none"} {
		if _, err := OpenPath(t.Context(), filepath.Join(dir, name), "", temp(t)); err == nil || api.FixOf(err) == "" && name != "none" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDamagedImages changes what the digests are there for.
func TestDamagedImages(t *testing.T) {
	var index struct{ Manifests []descriptor }
	must(t, json.Unmarshal([]byte(layout(t)["index.json"]), &index))
	for name, edit := range map[string]func(files map[string]string){
		"a layer's content": func(files map[string]string) { files["1/layer.tar"] = files["1/layer.tar"] + "x" },
		"another layer":     func(files map[string]string) { files["1/layer.tar"] = files["2/layer.tar"] },
		"a missing layer":   func(files map[string]string) { delete(files, "2/layer.tar") },
		"a layer outside": func(files map[string]string) {
			files["manifest.json"] = strings.ReplaceAll(files["manifest.json"], "1/layer.tar", "../../../../etc/passwd")
		},
		"no configuration": func(files map[string]string) { delete(files, "c.json") },
		"too few digests":  func(files map[string]string) { files["c.json"] = `{"rootfs":{"diff_ids":[]}}` },
		"no digest":        func(files map[string]string) { files["c.json"] = `{"rootfs":{"diff_ids":["md5:1","../../x"]}}` },
		"no JSON":          func(files map[string]string) { files["manifest.json"] = "{" },
		"no manifest":      func(files map[string]string) { files["manifest.json"] = "[]" },
		"a huge document":  func(files map[string]string) { files["manifest.json"] = strings.Repeat(" ", maxDocument+1) },
	} {
		path := filepath.Join(t.TempDir(), "a.tar")
		must(t, os.WriteFile(path, dockerSave(t, edit), 0o644))
		img, err := OpenPath(t.Context(), path, "", temp(t))
		if err == nil {
			_, err = unpack(t, img)
		}
		if api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, edit := range map[string]func(files map[string]string){
		"the manifest":  func(files map[string]string) { files["blobs/sha256/"+index.Manifests[0].Digest[7:]] += " " },
		"a missing one": func(files map[string]string) { delete(files, "blobs/sha256/"+index.Manifests[0].Digest[7:]) },
		"a digest outside": func(files map[string]string) {
			files["index.json"] = `{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`
		},
		"another platform": func(files map[string]string) {
			files["index.json"] = `{"manifests":[{"digest":"sha256:0","platform":{"os":"plan9","architecture":"z80"}}]}`
		},
		"an index of itself": func(files map[string]string) {
			files["index.json"] = `{"manifests":[{"digest":"` + digestOf([]byte("x")) + `"}]}`
			files["blobs/sha256/"+digestOf([]byte("x"))[7:]] = "x"
		},
	} {
		dir := t.TempDir()
		files := layout(t)
		edit(files)
		write(t, dir, files)
		if _, err := OpenPath(t.Context(), dir, "", temp(t)); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A layout whose blob is a symlink to a file of the host.
	dir := t.TempDir()
	files := layout(t)
	blob := "blobs/sha256/" + index.Manifests[0].Digest[7:]
	delete(files, blob)
	write(t, dir, files)
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, blob)))
	if _, err := OpenPath(t.Context(), dir, "", temp(t)); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("a symlink out of a layout: %v", err)
	}
}

// TestBomb: a layer that grows too much is refused while it is read.
func TestBomb(t *testing.T) {
	zeros := zst(t, make([]byte, freeBytes+64<<20))
	l, err := newLayerReader(bytes.NewReader(zeros))
	must(t, err)
	defer l.close()
	n, err := io.Copy(io.Discard, l)
	if api.CodeOf(err) != api.CodeInvalid || !strings.Contains(err.Error(), "bomb") || n > freeBytes+8<<20 {
		t.Errorf("%d bytes came out: %v", n, err)
	}
}

// TestRegistry fetches an image from a registry on this machine.
func TestRegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	files := layout(t)
	push := func(method, path, kind string, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		must(t, err)
		req.Header.Set("Content-Type", kind)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s", method, path, resp.Status)
		}
	}
	var index struct{ Manifests []descriptor }
	must(t, json.Unmarshal([]byte(files["index.json"]), &index))
	for name, data := range files {
		if d, ok := strings.CutPrefix(name, "blobs/sha256/"); ok {
			push(http.MethodPost, "/v2/team/app/blobs/uploads/?digest=sha256:"+d, "application/octet-stream", data)
		}
	}
	push(http.MethodPut, "/v2/team/app/manifests/v1", "application/vnd.oci.image.manifest.v1+json", files["blobs/sha256/"+index.Manifests[0].Digest[7:]])
	host := strings.TrimPrefix(server.URL, "http://")
	for _, ref := range []string{host + "/team/app:v1", host + "/team/app@" + index.Manifests[0].Digest} {
		img, err := OpenRegistry(t.Context(), ref, false)
		must(t, err)
		got, err := unpack(t, img)
		must(t, err)
		if got["/etc/os"] != "two" || img.Config.WorkingDir != "/w" {
			t.Errorf("%s: %v %+v", ref, got, img.Config)
		}
		must(t, img.Close())
		if _, err := OpenRegistry(t.Context(), ref, true); api.CodeOf(err) != api.CodeUnavailable || !strings.Contains(err.Error(), "not on the public") {
			t.Errorf("%s, from the public internet only: %v", ref, err)
		}
	}
	for ref, code := range map[string]api.Code{host + "/team/none:v1": api.CodeNotFound, "UPPER CASE": api.CodeInvalid, "127.0.0.1:1/x:y": api.CodeUnavailable} {
		if _, err := OpenRegistry(t.Context(), ref, false); api.CodeOf(err) != code || api.FixOf(err) == "" {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestOnlyThisMachineWithoutTLS(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://127.0.0.1:5000/v2/": true, "http://localhost/v2/": true, "http://[::1]/v2/": true, "https://example.com/v2/": true,
		"http://example.com/v2/": false, "http://10.0.0.1:5000/v2/": false, "http://127.0.0.1.example.com/v2/": false, "http://localhost.example.com/": false,
	} {
		asked := false
		next := roundTrip(func(*http.Request) { asked = true })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		must(t, err)
		if resp, err := (tlsOnly{next}).RoundTrip(req); err == nil {
			resp.Body.Close()
		}
		if asked != ok {
			t.Errorf("%s: asked = %v", url, asked)
		}
	}
}

type roundTrip func(*http.Request)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return &http.Response{Body: http.NoBody}, nil
}

// FuzzArchive: whatever an archive says, opening and unpacking it ends.
func FuzzArchive(f *testing.F) {
	f.Add(dockerSave(f, nil))
	f.Add(tarOf(f, layout(f)))
	f.Add(gz(f, dockerSave(f, nil)))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a.tar")
		must(t, os.WriteFile(path, data, 0o644))
		Is(t.Context(), path)
		img, err := OpenPath(t.Context(), path, "", temp(t))
		if err != nil {
			return
		}
		defer img.Close()
		tree := rootfs.New(rootfs.Limits{Entries: 1000, Bytes: 1 << 20})
		if err := img.Unpack(t.Context(), tree, rootfs.NewSpool(temp(t))); err != nil && api.CodeOf(err) == api.CodeInternal {
			t.Errorf("an archive's fault is called ours: %v", err)
		}
	})
}
