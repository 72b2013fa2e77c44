package gvisor

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/internal/cgroup"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/drivertest"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
	"github.com/brigdev/brig/internal/guest/agent"
	"github.com/brigdev/brig/internal/image"
)

func TestMain(m *testing.M) {
	sentry.Dispatch()
	os.Exit(m.Run())
}

func newDriver(t *testing.T, cfg Config) *Driver {
	t.Helper()
	if cfg.StateDir == "" {
		cfg.StateDir = t.TempDir()
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ids, _ := d.Leftovers(context.Background())
		if len(ids) > 0 {
			t.Errorf("left behind: %v", ids)
		}
		d.Close()
	})
	if p := d.Probe(t.Context()); !p.OK {
		skip := t.Skipf
		if os.Getenv("BRIG_MUST_NOT_SKIP") != "" {
			skip = t.Fatalf
		}
		skip("this host runs no gVisor guest: %s", p.Reason)
	}
	return d
}

func TestContract(t *testing.T) {
	root := smallRoot(t)
	for name, cfg := range map[string]Config{"cgroup": {ScratchDir: t.TempDir()}, "no cgroup": {NoCgroup: true, ScratchDir: t.TempDir()}, "no disk": {}} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, newDriver(t, cfg), drivertest.Options{
				Root: root, Agent: []string{"/.brig/agent"}, Program: drivertest.Shell, Snapshots: true, Links: true,
			})
		})
	}
}

// TestContractWithHostDirectories runs the same through a gofer.
func TestContractWithHostDirectories(t *testing.T) {
	root := writeRoot(t, append(skeleton(), place("usr"), link("bin", "usr/bin"), link("lib", "usr/lib"), link("lib64", "usr/lib64")))
	root.Binds = []driver.Bind{{Source: "/usr", Target: "/usr"}}
	if fi, err := os.Lstat("/bin"); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Skip("this host's /bin is no link to /usr/bin")
	}
	drivertest.Run(t, newDriver(t, Config{}), drivertest.Options{
		Root: root, Agent: []string{"/.brig/agent"}, Program: drivertest.Shell, Snapshots: true, Links: true, NoRestore: true,
	})
}

// TestGroupsOfAnotherLogin: a Brig that was started in another cgroup left a box
// there, and its group is found and removed all the same.
func TestGroupsOfAnotherLogin(t *testing.T) {
	d := newDriver(t, Config{})
	login := filepath.Join("/sys/fs/cgroup/memory", "brig-test-login")
	if _, err := os.Stat("/sys/fs/cgroup/memory/tasks"); err != nil {
		login = filepath.Join("/sys/fs/cgroup", "brig-test-login")
	}
	if err := os.MkdirAll(filepath.Join(login, cgroupName(d.root), "box-1"), 0o755); err != nil {
		t.Skipf("cgroups cannot be made here: %v", err)
	}
	t.Cleanup(func() { os.Remove(login) })
	if ids, err := d.Leftovers(t.Context()); err != nil || !slices.Contains(ids, "box-1") {
		t.Errorf("leftovers %v, %v", ids, err)
	}
	if err := d.Destroy(t.Context(), driver.Handle{Driver: Name, ID: "box-1"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(login, cgroupName(d.root))); !os.IsNotExist(err) {
		t.Errorf("the other login's tree is still there: %v", err)
	}
}

// smallRoot is a root filesystem with a shell and a few tools of this host.
func smallRoot(t *testing.T) driver.RootFS {
	t.Helper()
	contents := skeleton()
	seen := map[string]bool{}
	for _, tool := range []string{"sh", "cat", "sleep", "true", "ls", "dd", "id", "mkdir", "mv", "env", "setsid", "stty"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Skipf("this host has no %s", tool)
		}
		contents = append(contents, copied(t, path, "bin/"+tool))
		for _, lib := range libraries(t, path) {
			if !seen[lib] {
				seen[lib] = true
				contents = append(contents, copied(t, lib, lib))
			}
		}
	}
	return writeRoot(t, contents)
}

func skeleton() []image.Content {
	return []image.Content{
		{Entry: image.Entry{Path: ".brig/agent", Kind: image.File, Mode: 0o755}, Data: agent.Binary()},
		place("proc"), place("etc"),
		// Not empty, else the sentry mounts a tmpfs without a limit there.
		{Entry: image.Entry{Path: "tmp", Kind: image.Dir, Mode: 0o1777}},
		{Entry: image.Entry{Path: "tmp/.brig", Kind: image.File, Mode: 0o444}},
		{Entry: image.Entry{Path: "work", Kind: image.Dir, Mode: 0o755, UID: 1000, GID: 1000}},
	}
}

func place(path string) image.Content {
	return image.Content{Entry: image.Entry{Path: path, Kind: image.Dir, Mode: 0o755}}
}

func link(path, to string) image.Content {
	return image.Content{Entry: image.Entry{Path: path, Kind: image.Symlink, Mode: 0o777, Target: to}}
}

func copied(t *testing.T, from, to string) image.Content {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	return image.Content{Entry: image.Entry{Path: to, Kind: image.File, Mode: 0o755}, Data: b}
}

// libraries lists what a dynamic program is linked against, its loader included.
func libraries(t *testing.T, path string) []string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Skipf("%s is no ELF program", path)
	}
	defer f.Close()
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		t.Skipf("ldd %s: %v", path, err)
	}
	var libs []string
	for _, field := range strings.Fields(string(out)) {
		if strings.HasPrefix(field, "/") {
			libs = append(libs, field)
		}
	}
	return libs
}

func writeRoot(t *testing.T, contents []image.Content) driver.RootFS {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.erofs")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := image.NewWriter(f, image.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddContents(t.Context(), contents); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(path))
	return driver.RootFS{Image: path, Digest: hex.EncodeToString(sum[:])}
}

// TestDeadProbesAreSwept has what a probe leaves whose process was killed, first
// while another one runs.
func TestDeadProbesAreSwept(t *testing.T) {
	d := newDriver(t, Config{})
	image := filepath.Join(d.root, "probe-12345"+probeSuffix)
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if len(d.cgroups.Controllers()) > 0 {
		if _, err := d.cgroups.Create(probeID(image), cgroup.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := d.lockProbes(unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	d.sweepProbes()
	if _, err := os.Stat(image); err != nil {
		t.Errorf("a living probe's image: %v", err)
	}
	unlock()
	d.sweepProbes()
	if _, err := os.Stat(image); err == nil {
		t.Error("a dead probe's image is there")
	}
	if ids, _ := d.Leftovers(t.Context()); len(ids) > 0 {
		t.Errorf("left: %v", ids)
	}
}
