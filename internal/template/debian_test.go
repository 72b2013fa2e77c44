package template

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

// fakeMmdebstrap puts a shell script in the place of mmdebstrap. $TAR in it is a
// root filesystem.
func fakeMmdebstrap(t testing.TB, script string) {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\nTAR='%s'\n%s\n", rootTar(t), script)
	must(t, os.WriteFile(filepath.Join(dir, "mmdebstrap"), []byte(text), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestBuildFromPackages(t *testing.T) {
	c := open(t, t.TempDir())
	args := filepath.Join(t.TempDir(), "args")
	fakeMmdebstrap(t, `echo "$@" > `+args+`; env >> `+args+`; echo "I: unpacking" >&2; cat $TAR`)
	t.Setenv("SECRET", "canary")
	var lines []string
	o := BuildOptions{Suite: "bookworm", Mirror: "http://deb.example/debian", Packages: []string{"jq"}}
	tm, err := c.Build(t.Context(), "python", o, func(line string) { lines = append(lines, line) })
	must(t, err)
	said, err := os.ReadFile(args)
	must(t, err)
	for _, want := range []string{"--variant=essential", "python3-numpy", ",jq ", " bookworm - http://deb.example/debian\n", "TMPDIR="} {
		if !strings.Contains(string(said), want) {
			t.Errorf("mmdebstrap did not get %q: %s", want, said)
		}
	}
	if strings.Contains(string(said), "canary") {
		t.Error("our environment went to mmdebstrap")
	}
	if !slices.Contains(lines, "unpacking") || !tm.Warm {
		t.Errorf("progress %q, warm %v", lines, tm.Warm)
	}
	if len(scratchOf(t, c)) > 1 { // the lease stays
		t.Errorf("left: %v", scratchOf(t, c))
	}

	// More packages on top: the same suite and mirror again.
	_, err = c.Build(t.Context(), "more", BuildOptions{From: "python", Packages: []string{"python3-pandas"}}, nil)
	must(t, err)
	rec, _, err := c.Inspect("more")
	must(t, err)
	if rec.Suite != "bookworm" || rec.Mirror != o.Mirror || !slices.Contains(rec.Packages, "jq") || !slices.Contains(rec.Packages, "python3-pandas") {
		t.Errorf("record: %+v", rec)
	}
}

func TestPackagesThatCannotBeInstalled(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		code   api.Code
		says   string
	}{
		"refused":          {`echo "E: Unable to locate package" >&2; exit 1`, api.CodeUnavailable, "Unable to locate"},
		"half, then fails": {`head -c 2000 $TAR; echo "E: no space" >&2; exit 1`, api.CodeUnavailable, "no space"},
		"all, then fails":  {`cat $TAR; exit 1`, api.CodeUnavailable, "exit status 1"},
		"half, and says 0": {`head -c 2000 $TAR`, api.CodeInvalid, "unexpected EOF"},
		"nothing":          {`true`, api.CodeInvalid, "empty"},
		"no tar":           {`yes no | head -c 100000`, api.CodeInvalid, "cannot read"},
		"no last words":    {`exit 9`, api.CodeUnavailable, "exit status 9"},
		"endless log":      {`head -c 1000000 /dev/zero >&2; echo >&2; echo "E: after it" >&2; exit 1`, api.CodeUnavailable, "after it"},
	} {
		t.Run(name, func(t *testing.T) {
			fakeMmdebstrap(t, tc.script)
			c := open(t, t.TempDir())
			_, err := c.Build(t.Context(), "python", BuildOptions{}, nil)
			wantCode(t, err, tc.code, "")
			if err == nil || !strings.Contains(err.Error(), tc.says) || api.FixOf(err) == "" {
				t.Errorf("error %v with fix %q, want one with %q", err, api.FixOf(err), tc.says)
			}
			if len(entries(t, c, "images"))+len(entries(t, c, "templates")) > 0 {
				t.Errorf("left: %v %v", entries(t, c, "images"), entries(t, c, "templates"))
			}
		})
	}
}

func TestMissingMmdebstrap(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	c := open(t, t.TempDir())
	_, err := c.Build(t.Context(), "python", BuildOptions{}, nil)
	wantCode(t, err, api.CodeUnavailable, "--from rootfs.tar")
	must(t, os.WriteFile(filepath.Join(dir, "apt-get"), []byte("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n"), 0o755))
	_, err = c.Build(t.Context(), "python", BuildOptions{}, nil)
	wantCode(t, err, api.CodeUnavailable, "apt-get install -y mmdebstrap")
	if os.Geteuid() == 0 {
		_, err = c.Build(t.Context(), "python", BuildOptions{InstallTools: true}, nil)
		if err == nil || !strings.Contains(err.Error(), "no network") {
			t.Errorf("error %v, want apt-get's own words", err)
		}
	}
}

func TestCancelEndsTheTool(t *testing.T) {
	c := open(t, t.TempDir())
	fakeMmdebstrap(t, `echo "I: started" >&2; sleep 1000 & sleep 1000; cat $TAR`)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.Build(ctx, "python", BuildOptions{}, func(line string) {
		if line == "started" {
			cancel()
		}
	})
	wantCode(t, err, api.CodeCancelled, "")
	noProcessIn(t, c.dir)
}

// A build that is killed outright leaves no process and no mount, and the next
// Brig removes its files.
func TestKilledBuildLeavesNothing(t *testing.T) {
	data := t.TempDir()
	mount := ""
	if os.Geteuid() == 0 {
		mount = `mkdir $TMPDIR/m && mount -t tmpfs none $TMPDIR/m && touch $TMPDIR/m/file;`
	}
	fakeMmdebstrap(t, mount+`echo "I: started" >&2; sleep 1000 & sleep 1000; cat $TAR`)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helperEnv+"="+data)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	said := make([]byte, 8)
	if _, err := out.Read(said); err != nil || !strings.HasPrefix(string(said), "started") {
		t.Fatalf("the builder said %q, %v", said, err)
	}
	must(t, cmd.Process.Kill())
	cmd.Wait()
	if at := mountBelow(data); at != "" {
		t.Errorf("%s is mounted", at)
	}
	c := open(t, data)
	noProcessIn(t, data)
	if got := entries(t, c, "tmp"); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

const helperEnv = "BRIG_TEST_BUILD_IN"

// TestMain runs a build in a process of its own when a test asks for one.
func TestMain(m *testing.M) {
	data := os.Getenv(helperEnv)
	if data == "" {
		os.Exit(m.Run())
	}
	c, err := Open(context.Background(), data, Options{Agent: []byte("agent"), Runner: []byte("runner")})
	if err == nil {
		_, err = c.Build(context.Background(), "python", BuildOptions{}, func(line string) { fmt.Println(line) })
	}
	fmt.Println("the build returned:", err)
	os.Exit(1)
}

// noProcessIn waits until no process has dir in its environment: those of a
// killed namespace end on their own, a moment later.
func noProcessIn(t *testing.T, dir string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		found := ""
		environs, err := filepath.Glob("/proc/[0-9]*/environ")
		must(t, err)
		for _, path := range environs {
			data, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(data), "TMPDIR="+dir) {
				found = path
			}
		}
		if found == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is of a process that still runs", found)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestHostSources(t *testing.T) {
	root := t.TempDir()
	write := func(path, data string) {
		must(t, os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755))
		must(t, os.WriteFile(filepath.Join(root, path), []byte(data), 0o644))
	}
	if r := readRelease(root); r.codename != "" || r.mirrors("bookworm") != nil {
		t.Errorf("no os-release: %+v", r)
	}
	write("etc/os-release", "ID=fedora\nVERSION_CODENAME=\"\"\n")
	if r := readRelease(root); r.codename != "" {
		t.Errorf("fedora: %+v", r)
	}
	write("etc/os-release", "# comment\nID=debian\nVERSION_CODENAME=\"trixie\"\n")
	r := readRelease(root)
	if r.codename != "trixie" {
		t.Fatalf("debian: %+v", r)
	}
	write("etc/apt/sources.list", "# deb cdrom:[Debian]/ trixie main\ndeb http://mirror.example/debian trixie main\n")
	if got := r.mirrors("trixie"); !slices.Equal(got, []string{filepath.Join(root, "etc/apt/sources.list")}) {
		t.Errorf("sources.list: %v", got)
	}
	if got := r.mirrors("bookworm"); got != nil {
		t.Errorf("another suite got this host's sources: %v", got)
	}
	write("etc/apt/sources.list.d/debian.sources", "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n")
	if got := r.mirrors("trixie"); !slices.Equal(got, []string{filepath.Join(root, "etc/apt/sources.list.d/debian.sources")}) {
		t.Errorf("deb822: %v", got)
	}
	write("etc/apt/sources.list.d/debian.sources", "# moved\n")
	write("etc/apt/sources.list", "deb cdrom:[Debian]/ trixie main\n")
	if got := r.mirrors("trixie"); got != nil {
		t.Errorf("a cdrom: %v", got)
	}
}

func TestDropPatterns(t *testing.T) {
	keep := keepAllBut([]string{"/usr/share/doc", "/usr/lib/*/perl", "/dev/*"})
	for path, want := range map[string]bool{
		"/": true, "/usr/share/doc": false, "/usr/share/doc/a/b": false, "/usr/share/docs": true, "/usr/lib/x86/perl/5": false,
		"/usr/lib/x86/perl-base": true, "/usr/lib/perl": true, "/dev": true, "/dev/null": false, "/etc/shadow": false, "/.brig/agent": false,
	} {
		if keep(path) != want {
			t.Errorf("keep(%q) = %v", path, !want)
		}
	}
}
