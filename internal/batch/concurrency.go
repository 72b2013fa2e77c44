package batch

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
)

// autoConcurrency is twice the CPUs, because programs wait and sandboxes are
// made and torn down beside others that run, as far as four fifths of the free
// memory give each its whole budget. The host's admission has the last word.
func autoConcurrency(l api.Limits) int {
	n := int(2 * float64(runtime.NumCPU()) / max(l.CPUs, 0.1))
	if free, ok := freeMemory("/proc/meminfo"); ok {
		n = min(n, int(free/5*4/l.MemoryBytes))
	}
	return min(max(n, 1), 1024)
}

// freeMemory reads MemAvailable, in bytes.
func freeMemory(meminfo string) (int64, bool) {
	f, err := os.Open(meminfo)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		rest, ok := strings.CutPrefix(s.Text(), "MemAvailable:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
		return kib << 10, err == nil
	}
	return 0, false
}
