package template

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

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

// contain makes a command and all that it starts end with this process, and as
// root puts it into a mount and process namespace of its own: its mounts are
// never seen here and end with it, however it ends.
func contain(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = destroyTimeout
}

// outsideName is a file in a scratch directory that names a build's directory
// elsewhere.
const outsideName = "outside"

// buildDir makes the directory that mmdebstrap works in. Without root its files
// belong to other user ids, which must be able to get there: that is not below
// a data directory of ours, and so it is noted for whoever cleans up.
func buildDir(scratch string) (string, error) {
	if os.Geteuid() == 0 {
		return os.MkdirTemp(scratch, "build-")
	}
	dir, err := os.MkdirTemp("", "brig-build-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(scratch, outsideName), []byte(dir), 0o600)
}

// removeOutside removes a build's directory; files of other user ids need the
// tool that made them.
func removeOutside(scratch, dir string) {
	if os.RemoveAll(dir) != nil {
		cmd := exec.Command("mmdebstrap", "--unshare-helper", "rm", "-rf", "--one-file-system", dir)
		if cmd.Run() == nil {
			os.Remove(dir)
		}
	}
	os.Remove(filepath.Join(scratch, outsideName))
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
