package template

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/image"
)

// shell is a Runner whose programs are a few words: it reads the image that it is
// given, as a sandbox would, and writes changes as gVisor does.
type shell struct {
	t    testing.TB
	runs []string // what was run
	hook func(text string)
}

// Run implements Runner. Known are "write PATH TEXT", "rm PATH", "need PATH",
// "say TEXT", "fail N" and "device PATH", a line each.
func (s *shell) Run(_ context.Context, j RunJob, stdout, stderr io.Writer) (RunEnd, error) {
	text := j.Argv[len(j.Argv)-1]
	s.runs = append(s.runs, text)
	if s.hook != nil {
		s.hook(text)
	}
	there := names(s.t, j.Root.Image)
	w := tar.NewWriter(j.Changes)
	now := time.Now()
	must(s.t, w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: now}))
	// What a sandbox writes by itself.
	must(s.t, w.WriteHeader(&tar.Header{Name: "./etc/machine-id", Typeflag: tar.TypeReg, Mode: 0o644, ModTime: now}))
	for line := range strings.SplitSeq(text, ";") {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, data, _ := strings.Cut(rest, " ")
		at := "." + path.Join(j.Cwd, name)
		if path.IsAbs(name) {
			at = "." + name
		}
		switch verb {
		case "write":
			data = os.Expand(data, func(k string) string { return j.Env[k] })
			must(s.t, w.WriteHeader(&tar.Header{Name: at, Typeflag: tar.TypeReg, Mode: 0o4755, Size: int64(len(data)), ModTime: now}))
			_, err := io.WriteString(w, data)
			must(s.t, err)
		case "rm":
			must(s.t, w.WriteHeader(&tar.Header{Name: at, Typeflag: tar.TypeChar, ModTime: now}))
		case "device":
			must(s.t, w.WriteHeader(&tar.Header{Name: at, Typeflag: tar.TypeBlock, Devmajor: 8, ModTime: now}))
		case "need":
			if _, ok := there[strings.TrimPrefix(at, ".")]; !ok {
				fmt.Fprintln(stderr, "there is no", name)
				return RunEnd{Status: 1 << 8}, nil
			}
		case "say":
			fmt.Fprintln(stdout, rest)
		case "fail":
			fmt.Fprintln(stderr, "it failed")
			return RunEnd{Status: uint32(data[0]-'0') << 8}, nil
		}
	}
	return RunEnd{}, w.Close()
}

// twelve is a Dockerfile of twelve instructions.
const twelve = `FROM base
ARG WHO=world
ENV GREETING="hello ${WHO}"
WORKDIR /app
COPY . .
RUN need /app/main.py; write out.txt $GREETING; rm /usr/bin/sh
COPY --chown=7:8 --chmod=640 data.txt /srv/
RUN need /srv/data.txt; write /etc/passwd root:x:0:0::/root:/bin/sh
USER root
LABEL a=b
ENTRYPOINT ["python3"]
CMD ["main.py"]
`

// buildContext is a directory to copy from.
func buildContext(t testing.TB, dockerfile string) (file, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, data := range map[string]string{
		"main.py": "print(1)\n", "data.txt": "data", "secret.env": "KEY", ".dockerignore": "*.env\n.dockerignore\nDockerfile\n", "Dockerfile": dockerfile,
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644))
	}
	return filepath.Join(dir, "Dockerfile"), dir
}

// docker builds a Dockerfile on the template base and counts its steps.
func docker(t testing.TB, c *Catalog, s *shell, file, dir string, change ...func(o *BuildOptions)) (tm Template, cached, done int, err error) {
	t.Helper()
	o := BuildOptions{File: file, Context: dir, Runner: s, Events: func(e BuildEvent) {
		if e.Event == "done" {
			done++
			if e.Cached {
				cached++
			}
		}
	}}
	for _, f := range change {
		f(&o)
	}
	tm, err = c.Build(t.Context(), "app", o, nil)
	return tm, cached, done, err
}

func TestDockerfileTwiceIsTheSame(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	file, dir := buildContext(t, twelve)
	s := &shell{t: t}
	first, cached, done, err := docker(t, c, s, file, dir)
	must(t, err)
	if cached != 0 || done != 5 || len(s.runs) != 2 {
		t.Fatalf("first: %d of %d steps cached, ran %q", cached, done, s.runs)
	}
	got := names(t, first.Root.Image)
	want := map[string]string{"/app/main.py": "print(1)\n", "/app/out.txt": "hello world", "/srv/data.txt": "data"}
	for name, data := range want {
		if got[name] != data {
			t.Errorf("%s holds %q and not %q", name, got[name], data)
		}
	}
	for _, gone := range []string{"/usr/bin/sh", "/app/secret.env", "/app/Dockerfile", "/etc/machine-id", "/usr/bin/.wh.sh"} {
		if _, ok := got[gone]; ok {
			t.Errorf("%s is in the image", gone)
		}
	}
	if !strings.Contains(got["/etc/passwd"], "user:x:1000:") || strings.Contains(got["/etc/passwd"], "nobody") {
		t.Errorf("/etc/passwd is %q", got["/etc/passwd"])
	}
	if first.Env["GREETING"] != "hello world" || !slices.Equal(first.Config.Cmd, []string{"main.py"}) || first.Config.WorkingDir != "/app" {
		t.Errorf("environment %v, configuration %+v", first.Env, first.Config)
	}
	second, cached, done, err := docker(t, c, s, file, dir)
	must(t, err)
	if second.Digest != first.Digest || cached != done || len(s.runs) != 2 {
		t.Errorf("second: digest %s and %s, %d of %d steps cached, ran %q", first.Digest, second.Digest, cached, done, s.runs)
	}
	// Without any cache, and with other times, it is the same too.
	must(t, os.RemoveAll(c.path("build-cache", "keys")))
	must(t, os.Mkdir(c.path("build-cache", "keys"), 0o700))
	must(t, os.Chtimes(filepath.Join(dir, "main.py"), time.Unix(1, 0), time.Unix(1, 0)))
	third, cached, _, err := docker(t, c, s, file, dir)
	must(t, err)
	if third.Digest != first.Digest || cached != 0 || len(s.runs) != 4 {
		t.Errorf("without the cache: digest %s and %s, %d steps cached, ran %q", first.Digest, third.Digest, cached, s.runs)
	}
}

// TestWorkdirIsTheUsers: who works in a new WORKDIR may write there; one that is
// there stays whose it was.
func TestWorkdirIsTheUsers(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	file, dir := buildContext(t, "FROM base\nWORKDIR /first\nUSER 7:8\nWORKDIR /first\nWORKDIR sub\n")
	tm, _, _, err := docker(t, c, &shell{t: t}, file, dir)
	must(t, err)
	img, err := image.Open(tm.Root.Image)
	must(t, err)
	defer img.Close()
	owners := map[string][2]uint32{}
	must(t, img.Walk(t.Context(), func(string) bool { return true }, func(e image.Entry, _ string, _ []byte) error {
		owners[e.Path] = [2]uint32{e.UID, e.GID}
		return nil
	}))
	if owners["/first"] != [2]uint32{0, 0} || owners["/first/sub"] != [2]uint32{7, 8} {
		t.Errorf("the directories are of %v and %v", owners["/first"], owners["/first/sub"])
	}
}

func TestDockerfileCacheDependsOnWhatIsUsed(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	file, dir := buildContext(t, twelve)
	s := &shell{t: t}
	build := func(change ...func(o *BuildOptions)) int {
		t.Helper()
		_, cached, _, err := docker(t, c, s, file, dir, change...)
		must(t, err)
		return cached
	}
	build()
	for _, tc := range []struct {
		name   string
		do     func()
		opt    func(o *BuildOptions)
		cached int
	}{
		{name: "nothing", cached: 5},
		{name: "an ignored file", do: func() { must(t, os.WriteFile(filepath.Join(dir, "more.env"), nil, 0o600)) }, cached: 5},
		{name: "a file of the second COPY", do: func() { must(t, os.WriteFile(filepath.Join(dir, "data.txt"), []byte("new"), 0o644)) }, cached: 1},
		{name: "its mode", do: func() { must(t, os.Chmod(filepath.Join(dir, "main.py"), 0o755)) }, cached: 1},
		{name: "a build argument", opt: func(o *BuildOptions) { o.Args = map[string]string{"WHO": "you"} }, cached: 2},
	} {
		if tc.do != nil {
			tc.do()
		}
		opt := func(*BuildOptions) {}
		if tc.opt != nil {
			opt = tc.opt
		}
		if got := build(opt); got != tc.cached {
			t.Errorf("%s: %d steps were cached and not %d", tc.name, got, tc.cached)
		}
	}
}

func TestDockerfileFails(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	for text, want := range map[string]string{
		"FROM base\n\nRUN say a; fail with 7":           "line 3: RUN ended with exit code 7: \"it failed\"",
		"FROM base\nCOPY nothing /":                     "line 2: there is no \"nothing\"",
		"FROM base\nCOPY --chown=alice data.txt /":      "line 2: --chown=alice is nobody",
		"FROM base\nUSER alice\nRUN say x":              "line 3: USER alice is nobody",
		"FROM base\nCOPY ../x /":                        "line 2: the source \"../x\" leaves",
		"FROM base\nADD http://example.com/x /":         "line 2: ADD fetches nothing",
		"FROM base\nFETCH x":                            "line 2: there is no instruction \"FETCH\"",
		"FROM python":                                   "line 1: cannot use the template python: because it is not built",
		"FROM host":                                     "line 1: cannot build from the template host",
		"FROM ./nothing.tar":                            "line 1: cannot read the image",
		"FROM base\nCOPY --from=base /nothing /":        "line 2: of --from=base: there is no \"/nothing\"",
		"FROM base\nRUN --mount=type=cache,target=/x y": "line 2: RUN --mount=",
	} {
		file, dir := buildContext(t, text)
		_, _, _, err := docker(t, c, &shell{t: t}, file, dir)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot build from ") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if _, err := c.lookup("app"); api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("%q: a template is there: %v", text, err)
		}
	}
	file, dir := buildContext(t, "FROM base\nRUN say x")
	_, _, _, err = docker(t, c, &shell{t: t}, file, dir, func(o *BuildOptions) { o.AllowEgress = []string{"not a host"} })
	if api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
		t.Errorf("egress: %v", err)
	}
}

func TestDockerfileStages(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	file, dir := buildContext(t, `FROM base AS unused
RUN fail with 1
FROM base AS tools
RUN write /opt/tool x; write /opt/dir/a 1; write /opt/dir/b 2
FROM tools
COPY --from=tools /opt/tool /usr/local/bin/
COPY --from=tools /opt/dir /deep/er
COPY --from=base /usr/bin/python3 /copied
COPY <<EOF "/a b.txt"
hi ${HOME:-nobody}
EOF
`)
	s := &shell{t: t}
	tm, _, _, err := docker(t, c, s, file, dir)
	must(t, err)
	got := names(t, tm.Root.Image)
	for name, data := range map[string]string{"/usr/local/bin/tool": "x", "/deep/er/a": "1", "/deep/er/b": "2", "/copied": "data", "/a b.txt": "hi nobody\n", "/opt/tool": "x"} {
		if got[name] != data {
			t.Errorf("%s holds %q and not %q", name, got[name], data)
		}
	}
	if len(s.runs) != 1 {
		t.Errorf("ran %q", s.runs)
	}
	tm, _, _, err = docker(t, c, s, file, dir, func(o *BuildOptions) { o.Target = "tools" })
	must(t, err)
	if _, ok := names(t, tm.Root.Image)["/copied"]; ok {
		t.Error("--target tools went on to the last stage")
	}
}

// TestDockerfileCannotReachOutside copies through symlinks that lead out of the
// build's directory, and below those of the image.
func TestDockerfileCannotReachOutside(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	file, dir := buildContext(t, "FROM base\nCOPY link /x\n")
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	if _, _, _, err := docker(t, c, &shell{t: t}, file, dir); err == nil {
		t.Error("a symlink out of the directory was followed")
	}
	file, dir = buildContext(t, "FROM base\nCOPY d /d\nCOPY main.py /d/link/x/main.py\n")
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	must(t, os.Symlink("../../../../tmp/brig-escape", filepath.Join(dir, "d/link")))
	tm, _, _, err := docker(t, c, &shell{t: t}, file, dir)
	must(t, err)
	if got := names(t, tm.Root.Image)["/tmp/brig-escape/x/main.py"]; got != "print(1)\n" {
		t.Errorf("below a symlink: %q", got)
	}
	if _, err := os.Stat("/tmp/brig-escape"); err == nil {
		t.Error("a host path was made")
	}
}

func TestAddUnpacksArchives(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	file, dir := buildContext(t, "FROM base\nADD a.tar main.py /opt/\n")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: "in/x", Typeflag: tar.TypeReg, Mode: 0o644, Size: 1}))
	_, err = w.Write([]byte("y"))
	must(t, err)
	must(t, w.Close())
	must(t, os.WriteFile(filepath.Join(dir, "a.tar"), b.Bytes(), 0o644))
	tm, _, _, err := docker(t, c, &shell{t: t}, file, dir)
	must(t, err)
	got := names(t, tm.Root.Image)
	if got["/opt/in/x"] != "y" || got["/opt/main.py"] != "print(1)\n" {
		t.Errorf("got %v", got)
	}
}

func TestLayerCacheIsBoundedAndChecked(t *testing.T) {
	c := open(t, t.TempDir())
	put := func(key string, size int) cacheKey {
		t.Helper()
		k, err := c.keepLayer(t.Context(), key, key, func(w io.Writer) error {
			_, err := w.Write(bytes.Repeat([]byte(key[:1]), size))
			return err
		})
		must(t, err)
		return k
	}
	old, young := put("old", 100), put("young", 100)
	past := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(c.keyPath("old"), past, past))
	if r := c.trimCache(150, false); r.Removed != 0 {
		t.Errorf("layers of a running build were removed: %+v", r)
	}
	c.unhold(c.layerPath(old.Layer))
	c.unhold(c.layerPath(young.Layer))
	if r := c.trimCache(150, true); r.Removed != 1 || r.Freed != 100 {
		t.Errorf("dry run: %+v", r)
	}
	if r := c.trimCache(150, false); r.Removed != 1 || r.Freed != 100 {
		t.Errorf("trim: %+v", r)
	}
	if _, ok := c.cached(t.Context(), "old"); ok {
		t.Error("what was used the longest ago is still there")
	}
	must(t, os.WriteFile(c.layerPath(young.Layer), bytes.Repeat([]byte("z"), 100), 0o600))
	if _, ok := c.cached(t.Context(), "young"); ok {
		t.Error("a layer that was changed is used")
	}
}

// TestKilledBuild kills a process at each step of a build, and builds again.
func TestKilledBuild(t *testing.T) {
	data := t.TempDir()
	file, dir := buildContext(t, twelve)
	c := open(t, data)
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	reference := open(t, t.TempDir())
	_, err = reference.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	want, _, _, err := docker(t, reference, &shell{t: t}, file, dir)
	must(t, err)
	must(t, c.Close())
	for n, step := range []string{"step 1", "step 3", "run", "done 3", "step 5", "done 5", "try"} {
		kill(t, "TestKilledBuildChild", "BRIG_TEST_KILL="+step, "BRIG_TEST_DATA="+data, "BRIG_TEST_FILE="+file, "BRIG_TEST_DIR="+dir)
		c := open(t, data)
		if _, err := c.lookup("app"); api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("%s: a template is there: %v", step, err)
		}
		left, err := os.ReadDir(c.path("tmp"))
		must(t, err)
		if len(left) != 1 { // this process's own
			t.Errorf("%s: left in tmp: %v", step, left)
		}
		// Only whole layers are there, under the digest that they have.
		layers, err := filepath.Glob(c.path("build-cache", "layers", "*.tar"))
		must(t, err)
		for _, l := range layers {
			f, err := os.Open(l)
			must(t, err)
			digest, _, err := image.Digest(t.Context(), f)
			must(t, err)
			f.Close()
			if c.layerPath(digest) != l {
				t.Errorf("%s: %s has the digest %s", step, l, digest)
			}
		}
		if n := n; step == "done 5" && len(layers) != 5 {
			t.Errorf("%d: killed after the last step, %d layers are there", n, len(layers))
		}
		must(t, c.Close())
	}
	c = open(t, data)
	s := &shell{t: t}
	got, cached, done, err := docker(t, c, s, file, dir)
	must(t, err)
	if cached != done || len(s.runs) != 0 || got.Digest != want.Digest {
		t.Errorf("%d of %d steps from the cache, ran %q, digest %s and undisturbed %s", cached, done, s.runs, got.Digest, want.Digest)
	}
}

// TestKilledBuildChild is the process that is killed.
func TestKilledBuildChild(t *testing.T) {
	at := os.Getenv("BRIG_TEST_KILL")
	if at == "" {
		return // a part of TestKilledBuild
	}
	die := func(here string) {
		if here == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	c := open(t, os.Getenv("BRIG_TEST_DATA"))
	_, _, _, err := docker(t, c, &shell{t: t, hook: func(string) { die("run") }}, os.Getenv("BRIG_TEST_FILE"), os.Getenv("BRIG_TEST_DIR"), func(o *BuildOptions) {
		o.Events = func(e BuildEvent) { die(fmt.Sprintf("%s %d", e.Event, e.Step)) }
		o.Try = func(context.Context, Template) error { die("try"); return nil }
	})
	t.Fatalf("the step %q never came: %v", at, err)
}
