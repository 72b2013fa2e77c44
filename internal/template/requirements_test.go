package template

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

// tool puts a shell script in the place of a program of the host, and nothing
// else but the shell's own tools.
func tool(t testing.TB, name, script string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestPip(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t, "usr/bin/python3.11")}, nil)
	must(t, err)
	args := filepath.Join(t.TempDir(), "args")
	tool(t, "python3", `echo "$@" > `+args+`; while [ "$1" != --dest ]; do shift; done; touch "$2/rich-1.whl"; grep . "$2/requirements.txt" >> `+args)
	s := &shell{t: t}
	build := func(pip ...string) (Template, error) {
		return c.Build(t.Context(), "web", BuildOptions{From: "base", Pip: pip, Runner: s}, nil)
	}
	one, err := build("rich", "httpx==0.27.0")
	must(t, err)
	said, err := os.ReadFile(args)
	must(t, err)
	for _, want := range []string{"-m pip download", "--only-binary :all:", "--python-version 3.11", "--abi cp311", "\nrich\nhttpx==0.27.0\n", " pip\n"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("pip did not get %q: %s", want, said)
		}
	}
	if len(s.runs) != 1 || !strings.Contains(s.runs[0], "install --no-index") {
		t.Errorf("ran %q", s.runs)
	}
	rec, _, err := c.Inspect("web")
	must(t, err)
	if rec.Source != "requirements (rich httpx==0.27.0) on base" || rec.Digest != one.Digest {
		t.Errorf("record %+v", rec)
	}
	if left := scratchOf(t, c); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	_, err = build("--index-url=http://evil")
	wantCode(t, err, api.CodeInvalid, "requirements.txt")
	_, err = build("none.txt")
	wantCode(t, err, api.CodeInvalid, "requirements.txt")
	tool(t, "python3", `echo "no such package" >&2; exit 1`)
	_, err = build("nothing")
	wantCode(t, err, api.CodeUnavailable, "network")
	if !strings.Contains(err.Error(), "no such package") {
		t.Errorf("it does not say why: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = build("rich")
	wantCode(t, err, api.CodeUnavailable, "python3-pip")
}

func TestNpm(t *testing.T) {
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "base", BuildOptions{From: rootTar(t)}, nil)
	must(t, err)
	tool(t, "npm", `test "$2" = --ignore-scripts || exit 9; while [ "$1" != --prefix ]; do shift; done; mkdir -p "$2/node_modules/lodash" && echo x > "$2/node_modules/lodash/index.js"`)
	tm, err := c.Build(t.Context(), "js", BuildOptions{From: "base", Npm: []string{"lodash@4", "@scope/x"}, Runner: &shell{t: t}}, nil)
	must(t, err)
	if names(t, tm.Root.Image)["/usr/local/lib/node_modules/lodash/index.js"] != "x\n" || tm.Env["NODE_PATH"] != "/usr/local/lib/node_modules" {
		t.Errorf("environment %v", tm.Env)
	}
	for _, bad := range []string{"--registry=http://evil", "../x", "UPPER", "git+ssh://x"} {
		_, err = c.Build(t.Context(), "js", BuildOptions{From: "base", Npm: []string{bad}}, nil)
		wantCode(t, err, api.CodeInvalid, "--npm lodash")
	}
	t.Setenv("PATH", t.TempDir())
	_, err = c.Build(t.Context(), "js", BuildOptions{From: "base", Npm: []string{"lodash"}}, nil)
	wantCode(t, err, api.CodeUnavailable, "apt-get install -y npm")
}

// TestBuildFromImage takes an archive of docker save, with a name for its tag and
// without, as a template and as the base of a Dockerfile.
func TestBuildFromImage(t *testing.T) {
	c := open(t, t.TempDir())
	archive := dockerArchive(t)
	for _, from := range []string{archive, "oci:" + archive, "oci:" + archive + ":app:1"} {
		tm, err := c.Build(t.Context(), "image", BuildOptions{From: from}, nil)
		must(t, err)
		got := names(t, tm.Root.Image)
		if got["/etc/os"] != "two" || tm.Env["A"] != "b" || !strings.Contains(got["/etc/passwd"], "alice:x:7:") || !strings.Contains(got["/etc/passwd"], "user:x:1000:") {
			t.Errorf("%s: %v, environment %v", from, got, tm.Env)
		}
		if _, ok := got["/gone"]; ok {
			t.Errorf("%s: a whiteout did nothing", from)
		}
	}
	file, dir := buildContext(t, "FROM "+archive+"\nCOPY --chown=alice main.py /\nRUN need /etc/os; say $A\n")
	tm, _, _, err := docker(t, c, &shell{t: t}, file, dir)
	must(t, err)
	if names(t, tm.Root.Image)["/main.py"] == "" || tm.Env["A"] != "b" {
		t.Error("the Dockerfile on top of an image")
	}
	_, err = c.Build(t.Context(), "image", BuildOptions{From: "oci:/nothing"}, nil)
	wantCode(t, err, api.CodeNotFound, "")
	_, err = c.Build(t.Context(), "image", BuildOptions{From: archive, Packages: []string{"jq"}}, nil)
	wantCode(t, err, api.CodeInvalid, "--packages")
}
