package host

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
)

// defaultMemory is how much sandboxes may take together when nobody said: 80 %
// of the machine's memory, or of this process's cgroup limit where that is less.
// root is "/" but in tests.
func defaultMemory(root string) (int64, error) {
	total, err := machineMemory(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0, err
	}
	return min(total, cgroupMemory(root)) / 5 * 4, nil
}

func machineMemory(meminfo string) (int64, error) {
	b, err := os.ReadFile(meminfo)
	if err != nil {
		return 0, api.Errorf(api.CodeInternal, "cannot find out how much memory this host has: because %w", err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return kib << 10, nil
			}
		}
	}
	return 0, api.Errorf(api.CodeInternal, "cannot find out how much memory this host has: because %s has no MemTotal", meminfo)
}

// cgroupMemory is the smallest memory limit on the path of cgroups that this
// process is in, v1 or v2; no limit is the largest number.
func cgroupMemory(root string) int64 {
	limit := int64(math.MaxInt64)
	b, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return limit
	}
	for line := range strings.Lines(string(b)) {
		// "0::/path" in v2, "4:memory:/path" in v1.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		switch {
		case f[0] == "0" && f[1] == "":
			limit = min(limit, smallestAbove(filepath.Join(root, "sys/fs/cgroup"), f[2], "memory.max"))
		case strings.Contains(","+f[1]+",", ",memory,"):
			limit = min(limit, smallestAbove(filepath.Join(root, "sys/fs/cgroup/memory"), f[2], "memory.limit_in_bytes"))
		}
	}
	return limit
}

// smallestAbove reads file in every cgroup from path up to the mount point. In a
// container path may not exist below the mount, which is then our own cgroup.
func smallestAbove(mount, path, file string) int64 {
	limit := int64(math.MaxInt64)
	for {
		b, err := os.ReadFile(filepath.Join(mount, path, file))
		if err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
				limit = min(limit, n)
			}
		}
		if path == "/" || path == "." {
			return limit
		}
		path = filepath.Dir(path)
	}
}
