package template

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

// TestBuildPython builds the python template for real. It takes half a minute
// and the network.
func TestBuildPython(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the build takes half a minute")
	}
	if os.Geteuid() != 0 {
		t.Skip("not root: a build without root needs subordinate user ids, which this user may not have")
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		t.Skip("mmdebstrap is not installed: apt-get install -y mmdebstrap")
	}
	c := open(t, t.TempDir())
	tm, err := c.Build(t.Context(), "python", BuildOptions{}, func(line string) { t.Log(line) })
	if api.CodeOf(err) == api.CodeUnavailable {
		t.Skipf("packages cannot be had here: %v", err)
	}
	must(t, err)
	files := names(t, tm.Root.Image)
	for what, pattern := range map[string]string{
		"the standard library": "/usr/lib/python3.*/json/__init__.py",
		"its compiled form":    "/usr/lib/python3.*/json/__pycache__/*.pyc",
		"numpy":                "/usr/lib/python3/dist-packages/numpy/__init__.py",
		"bash":                 "/usr/bin/bash",
		"coreutils":            "/usr/bin/sort",
		"ca-certificates":      "/etc/ssl/certs/ca-certificates.crt",
		"shared libraries":     "/etc/ld.so.cache",
	} {
		if !has(files, pattern) {
			t.Errorf("%s is missing: no %s", what, pattern)
		}
	}
	hostname, err := os.Hostname()
	must(t, err)
	for path, data := range files {
		if strings.HasPrefix(path, "/etc/") && len(hostname) > 3 && strings.Contains(data, hostname) {
			t.Errorf("%s has this host's name in it", path)
		}
	}
	for _, pattern := range []string{"/usr/share/doc/*", "/usr/share/man/*", "/var/lib/apt/*", "/var/cache/*", "/etc/shadow", "/etc/machine-id", "/etc/resolv.conf"} {
		if has(files, pattern) {
			t.Errorf("%s is inside", pattern)
		}
	}
	st, err := os.Stat(tm.Root.Image)
	must(t, err)
	if st.Size() > 200<<20 {
		t.Errorf("the image has %s", api.FormatBytes(st.Size()))
	}
}

func has(files map[string]string, pattern string) bool {
	for path := range files {
		if strings.Count(path, "/") == strings.Count(pattern, "/") && matches([]string{pattern}, path) {
			return true
		}
	}
	return false
}
