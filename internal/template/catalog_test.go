package template

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/google/go-cmp/cmp"
)

func TestHostShowsProgramsAndNothingElse(t *testing.T) {
	c := open(t, t.TempDir())
	tm, err := c.Resolve(t.Context(), HostName)
	must(t, err)
	root := c.opts.HostRoot
	wantBinds := []driver.Bind{{Source: root + "/usr", Target: "/usr"}, {Source: root + "/lib64", Target: "/lib64"}}
	if diff := cmp.Diff(wantBinds, tm.Root.Binds); diff != "" {
		t.Errorf("binds (-want +got):\n%s", diff)
	}
	// node ends outside of what is shown, so it is no language of the template.
	if got := languageNames(tm.Languages); !slices.Equal(got, []string{"python", "sh"}) || tm.Warm {
		t.Errorf("languages %v, warm %v", got, tm.Warm)
	}
	got := names(t, tm.Root.Image)
	for path, want := range map[string]string{agentPath: "agent", runnerPath: "runner", "/etc/ld.so.cache": "cache", "/etc/ssl/certs/ca-certificates.crt": "CERT"} {
		if got[path] != want {
			t.Errorf("%s is %q, want %q", path, got[path], want)
		}
	}
	for _, path := range []string{"/etc/shadow", "/etc/hostname", "/etc/resolv.conf", "/etc/ssl/certs/other.pem", "/usr/bin"} {
		if _, ok := got[path]; ok {
			t.Errorf("%s of the host is inside", path)
		}
	}
	if strings.Contains(got["/etc/passwd"], "alice") || !strings.Contains(got["/etc/passwd"], "user:x:1000:1000") {
		t.Errorf("passwd: %q", got["/etc/passwd"])
	}
	for _, path := range []string{"/bin", "/usr", "/lib64", "/work", "/tmp", "/proc", "/dev", homeDir, "/etc/alternatives/awk"} {
		if _, ok := got[path]; !ok {
			t.Errorf("%s is missing", path)
		}
	}
}

func TestHostIsTheSameUntilTheHostChanges(t *testing.T) {
	data, root := t.TempDir(), hostRoot(t)
	resolve := func() Template {
		c := open(t, data, func(o *Options) { o.HostRoot = root })
		tm, err := c.Resolve(t.Context(), HostName)
		must(t, err)
		return tm
	}
	first, second := resolve(), resolve()
	if first.Digest != second.Digest || first.Root.Image != second.Root.Image {
		t.Errorf("%s and %s", first.Digest, second.Digest)
	}
	must(t, os.WriteFile(filepath.Join(root, "etc/ld.so.cache"), []byte("new libraries"), 0o644))
	if third := resolve(); third.Digest == first.Digest {
		t.Error("another ld.so.cache, and the same digest")
	}
}

func TestHostWithoutPrograms(t *testing.T) {
	c := open(t, t.TempDir(), func(o *Options) { o.HostRoot = t.TempDir() })
	_, err := c.Resolve(t.Context(), HostName)
	wantCode(t, err, api.CodeUnavailable, "brig template build")
}

func TestResolveWhatIsNotThere(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Resolve(t.Context(), "python")
	wantCode(t, err, api.CodeNotFound, "brig template build python")
	_, err = c.Resolve(t.Context(), "sha256:0000")
	wantCode(t, err, api.CodeNotFound, "brig template ls")
	for _, name := range []string{"", "../python", "a/b", "Python", "-x", strings.Repeat("x", 64), "a b", "x\n"} {
		_, err := c.Resolve(t.Context(), name)
		wantCode(t, err, api.CodeInvalid, "brig template ls")
	}
	wantCode(t, c.Remove(t.Context(), "python"), api.CodeNotFound, "")
	wantCode(t, c.Remove(t.Context(), HostName), api.CodeInvalid, "")
}

func TestBuildFromTar(t *testing.T) {
	c := open(t, t.TempDir())
	tm := buildTar(t, c, "mine", "usr/share/doc/readme")
	again, err := c.Resolve(t.Context(), "mine")
	must(t, err)
	byDigest, err := c.Resolve(t.Context(), tm.Digest)
	must(t, err)
	for _, got := range []Template{again, byDigest} {
		if diff := cmp.Diff(tm, got); diff != "" {
			t.Errorf("built and resolved differ:\n%s", diff)
		}
	}
	want := map[string]Language{"python": {Ext: "py", Argv: []string{"/usr/bin/python3"}, Warm: true}, "sh": {Ext: "sh", Argv: []string{"/usr/bin/sh"}}}
	if diff := cmp.Diff(want, tm.Languages); diff != "" || !tm.Warm {
		t.Errorf("warm %v, languages (-want +got):\n%s", tm.Warm, diff)
	}
	files := names(t, tm.Root.Image)
	for _, path := range []string{"/etc/shadow", "/etc/hostname"} {
		if _, ok := files[path]; ok {
			t.Errorf("%s of whoever made the tar is inside", path)
		}
	}
	if files[agentPath] != "agent" || strings.Contains(files["/etc/passwd"], "data") || files["/usr/share/doc/readme"] != "data" {
		t.Errorf("files: %v", files)
	}
	list, err := c.List(t.Context())
	must(t, err)
	if len(list) != 2 || list[0].Name != HostName || list[1].Name != "mine" || !list[1].Warm {
		t.Errorf("list: %+v", list)
	}
}

func TestBuildFromTemplate(t *testing.T) {
	c := open(t, t.TempDir())
	base := buildTar(t, c, "base")
	tm, err := c.Build(t.Context(), "more", BuildOptions{From: "base", Warm: []string{"csv"}}, nil)
	must(t, err)
	rec, _, err := c.Inspect("more")
	must(t, err)
	if !slices.Equal(rec.WarmModules, []string{"json", "csv"}) || tm.Digest == base.Digest {
		t.Errorf("modules %v, digests %s and %s", rec.WarmModules, tm.Digest, base.Digest)
	}
	a, b := names(t, base.Root.Image), names(t, tm.Root.Image)
	delete(a, "/.brig/template.json")
	delete(b, "/.brig/template.json")
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the files differ:\n%s", diff)
	}
	_, err = c.Build(t.Context(), "other", BuildOptions{From: "base", Packages: []string{"jq"}}, nil)
	wantCode(t, err, api.CodeInvalid, "--from python")
}

func TestBuildFromDirectoryAndStdin(t *testing.T) {
	c := open(t, t.TempDir())
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "usr/bin"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "usr/bin/sh"), []byte("#!"), 0o755))
	tm, err := c.Build(t.Context(), "dir", BuildOptions{From: dir}, nil)
	must(t, err)
	if tm.Warm || !slices.Equal(languageNames(tm.Languages), []string{"sh"}) {
		t.Errorf("%+v", tm)
	}
	f, err := os.Open(rootTar(t))
	must(t, err)
	defer f.Close()
	_, err = c.Build(t.Context(), "stdin", BuildOptions{From: "-", Stdin: f}, nil)
	must(t, err)
	_, err = c.Build(t.Context(), "empty", BuildOptions{From: "-"}, nil)
	wantCode(t, err, api.CodeInvalid, "root filesystem")
}

func TestBuildRefuses(t *testing.T) {
	c := open(t, t.TempDir())
	cases := []struct {
		name string
		o    BuildOptions
		code api.Code
		fix  string
	}{
		{HostName, BuildOptions{}, api.CodeInvalid, "another name"},
		{"../x", BuildOptions{}, api.CodeInvalid, "brig template ls"},
		{"nothing", BuildOptions{}, api.CodeInvalid, "--from python"},
		{"x", BuildOptions{From: "nothing"}, api.CodeNotFound, "brig template build nothing"},
		{"x", BuildOptions{From: "./nothing.tar"}, api.CodeInvalid, "name one that exists"},
		{"x", BuildOptions{From: rootTar(t), Packages: []string{"jq"}}, api.CodeInvalid, "--from python"},
		{"python", BuildOptions{Packages: []string{"--hook=rm"}}, api.CodeInvalid, "--packages"},
		{"python", BuildOptions{Packages: []string{"a,b"}}, api.CodeInvalid, "--packages"},
		{"python", BuildOptions{Warm: []string{"os; import evil"}}, api.CodeInvalid, "--warm"},
		{"python", BuildOptions{Suite: "--hook"}, api.CodeInvalid, "--suite"},
		{"python", BuildOptions{Mirror: "deb x y"}, api.CodeInvalid, "--mirror"},
	}
	for _, tc := range cases {
		_, err := c.Build(t.Context(), tc.name, tc.o, nil)
		wantCode(t, err, tc.code, tc.fix)
	}
	noPython := filepath.Join(t.TempDir(), "x")
	must(t, os.MkdirAll(filepath.Join(noPython, "bin"), 0o755))
	_, err := c.Build(t.Context(), "x", BuildOptions{From: noPython, Warm: []string{"json"}}, nil)
	wantCode(t, err, api.CodeInvalid, "--warm")
	if got := entries(t, c, "images"); len(got) != 0 {
		t.Errorf("images of refused builds: %v", got)
	}
}

// A name means the old image until the new one is known to work.
func TestBuildThatFailsItsTrial(t *testing.T) {
	c := open(t, t.TempDir())
	old := buildTar(t, c, "mine")
	boom := errors.New("boom")
	var tried Template
	_, err := c.Build(t.Context(), "mine", BuildOptions{From: rootTar(t, "new"), Try: func(_ context.Context, tm Template) error {
		tried = tm
		return boom
	}}, nil)
	if !errors.Is(err, boom) || !exists(tried.Root.Image) {
		t.Fatalf("error %v, tried %+v", err, tried)
	}
	now, err := c.Resolve(t.Context(), "mine")
	must(t, err)
	if now.Digest != old.Digest {
		t.Error("the name means what failed")
	}
}

func TestRemoveTakesTheImageUnlessUsed(t *testing.T) {
	data := t.TempDir()
	c := open(t, data)
	one, two := buildTar(t, c, "one"), buildTar(t, c, "two")
	if one.Digest != two.Digest {
		t.Fatal("the same root filesystem has another digest")
	}
	other, err := Open(t.Context(), data, c.opts)
	must(t, err)
	_, err = other.Resolve(t.Context(), "two")
	must(t, err)
	must(t, c.Close())
	c = open(t, data)
	must(t, c.Remove(t.Context(), "one"))
	must(t, c.Remove(t.Context(), "two"))
	if !exists(one.Root.Image) {
		t.Fatal("an image that another process uses was removed")
	}
	must(t, other.Close())
	c.sweep(t.Context())
	if got := entries(t, c, "images"); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestDamagedImagesAreNotUsed(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"truncated": func(t *testing.T, path string) { must(t, os.Truncate(path, 4096)) },
		"missing":   func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"changed": func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			must(t, err)
			data[5000] ^= 1
			must(t, os.WriteFile(path, data, 0o600))
		},
		"no record": func(t *testing.T, path string) { must(t, os.Remove(strings.TrimSuffix(path, ".erofs")+".json")) },
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			c := open(t, data)
			damage(t, buildTar(t, c, "mine").Root.Image)
			_, err := open(t, data).Resolve(t.Context(), "mine")
			wantCode(t, err, api.CodeUnavailable, "brig template build mine")
			buildTar(t, c, "mine")
			_, err = open(t, data).Resolve(t.Context(), "mine")
			must(t, err)
		})
	}
}

// A template that another version of Brig built gets this one's guest programs.
func TestGuestProgramsAreRenewed(t *testing.T) {
	data := t.TempDir()
	old := buildTar(t, open(t, data), "mine")
	c := open(t, data, func(o *Options) { o.Agent = []byte("newer agent") })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			tm, err := c.Resolve(t.Context(), "mine")
			if err != nil || tm.Digest == old.Digest || names(t, tm.Root.Image)[agentPath] != "newer agent" {
				t.Errorf("%v: %+v", err, tm)
			}
		})
	}
	wg.Wait()
}

func TestScratchOfTheDeadIsRemoved(t *testing.T) {
	data := t.TempDir()
	living := open(t, data)
	must(t, os.MkdirAll(filepath.Join(data, "tmp/brig-dead/build-1"), 0o700))
	must(t, os.WriteFile(filepath.Join(data, "tmp/brig-dead/image-half"), []byte("half"), 0o600))
	c := open(t, data)
	if exists(filepath.Join(data, "tmp/brig-dead")) {
		t.Error("what a killed process left is still there")
	}
	if !exists(living.scratch) || !exists(c.scratch) {
		t.Error("a living process lost its directory")
	}
}

func TestLockGivesUpWithItsContext(t *testing.T) {
	c := open(t, t.TempDir())
	unlock, err := lock(t.Context(), c.path("locks", "x"))
	must(t, err)
	_, err = lock(cancelled(), c.path("locks", "x"))
	if api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("error %v", err)
	}
	unlock()
	unlock, err = lock(t.Context(), c.path("locks", "x"))
	must(t, err)
	unlock()
}

func TestReadOnlyDataDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(t.Context(), filepath.Join(file, "data"), Options{})
	if err == nil || !strings.Contains(err.Error(), "cannot make") {
		t.Errorf("error %v", err)
	}
}
