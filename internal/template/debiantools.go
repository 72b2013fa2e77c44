package template

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
)

// findMmdebstrap finds the tool that makes Debian root filesystems, and installs
// it when that was asked for.
func findMmdebstrap(ctx context.Context, o BuildOptions, progress func(string)) (string, error) {
	path, err := exec.LookPath("mmdebstrap")
	if err == nil {
		return path, nil
	}
	packages := []string{"mmdebstrap"}
	if os.Geteuid() != 0 {
		packages = append(packages, "uidmap")
	}
	missing := api.Errorf(api.CodeUnavailable, "cannot build from Debian packages: because mmdebstrap is not installed").
		WithFix("apt-get install -y %s", strings.Join(packages, " "))
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return "", missing.WithFix("install mmdebstrap with this system's package manager, or use --from rootfs.tar")
	}
	if !o.InstallTools || os.Geteuid() != 0 {
		return "", missing
	}
	for _, args := range [][]string{{"install", "-y", "--no-install-recommends", "mmdebstrap"}, {"update"}, {"install", "-y", "--no-install-recommends", "mmdebstrap"}} {
		progress("apt-get " + strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // a kill would leave dpkg's database half-written
		out, err := cmd.CombinedOutput()
		if path, found := exec.LookPath("mmdebstrap"); found == nil {
			return path, nil
		}
		if err != nil {
			missing.Message = "cannot install mmdebstrap: because apt-get says " + lastLine(out)
		}
	}
	return "", missing
}

func lastLine(out []byte) string {
	lines := strings.Split(string(bytes.TrimSpace(out)), "\n")
	return lines[len(lines)-1]
}

// release is what a Debian host says of itself.
type release struct {
	root     string
	codename string
}

// readRelease reads /etc/os-release; on a host that is neither Debian nor Ubuntu
// there is no codename.
func readRelease(root string) release {
	r := release{root: root}
	data, err := os.ReadFile(filepath.Join(root, "etc/os-release"))
	if err != nil {
		return r
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			fields[k] = strings.Trim(v, `"'`)
		}
	}
	if slices.Contains([]string{"debian", "ubuntu"}, fields["ID"]) {
		r.codename = fields["VERSION_CODENAME"]
	}
	return r
}

// mirrors are the files that say where this host's own packages come from, so
// that a build uses the same mirrors. For another suite, or when none of the
// usual files is there, mmdebstrap knows the public ones.
func (r release) mirrors(suite string) []string {
	if suite != r.codename {
		return nil
	}
	for _, name := range []string{"etc/apt/sources.list.d/debian.sources", "etc/apt/sources.list.d/ubuntu.sources", "etc/apt/sources.list"} {
		path := filepath.Join(r.root, name)
		if data, err := os.ReadFile(path); err == nil && usable(string(data)) {
			return []string{path}
		}
	}
	return nil
}

// usable tells whether a sources file names packages on the network, and nothing
// that only this host can reach.
func usable(sources string) bool {
	found := false
	for line := range strings.Lines(sources) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.Contains(line, "cdrom:") {
			return false
		}
		found = found || strings.HasPrefix(line, "deb ") || strings.HasPrefix(line, "URIs:")
	}
	return found
}
