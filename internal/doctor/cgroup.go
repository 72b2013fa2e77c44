package doctor

import (
	"os"
	"slices"
	"strings"

	"github.com/brigdev/brig/internal/cgroup"
)

// cgroupCheck says which version this host has and which controllers Brig can
// use for its sandboxes.
func cgroupCheck() Check {
	tree := cgroup.Open("brig-doctor")
	defer tree.Close()
	version, fix := "v1", "run brig as root, where the cgroup tree is mounted read-write"
	if tree.V2() {
		version = "v2"
		if os.Geteuid() != 0 {
			fix = "systemd-run --user --scope -p Delegate=yes brig ..."
		}
	}
	return judgeCgroup(version, tree.Controllers(), fix)
}

// judgeCgroup compares what can be used with what bounds a sandbox.
func judgeCgroup(version string, writable []string, fix string) Check {
	var missing []string
	for _, c := range []string{"memory", "pids", "cpu"} {
		if !slices.Contains(writable, c) {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		return Check{"cgroup", Warn, version + ", not writable: " + strings.Join(missing, ", ") + "; those limits are kept by polling", fix}
	}
	return Check{"cgroup", OK, version + ", writable: " + strings.Join(writable, ", "), ""}
}
