package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDefaultMemory(t *testing.T) {
	const meminfo = "MemTotal:       10240 kB\nMemFree:        2 kB\n"
	tests := []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no cgroups", nil, 8 << 20},
		{"v2 without a limit", map[string]string{
			"proc/self/cgroup":               "0::/user/me\n",
			"sys/fs/cgroup/user/memory.max":  "max\n",
			"sys/fs/cgroup/memory.max.other": "1",
		}, 8 << 20},
		{"v2, the limit of an ancestor", map[string]string{
			"proc/self/cgroup":                 "0::/user/me\n",
			"sys/fs/cgroup/user/memory.max":    "5242880\n",
			"sys/fs/cgroup/user/me/memory.max": "max\n",
		}, 4 << 20},
		{"v1 beside v2", map[string]string{
			"proc/self/cgroup": "5:cpu,memory:/job\n0::/\n",
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "5242880\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "9223372036854771712\n",
		}, 4 << 20},
		{"v1 in a container that sees only its own cgroup", map[string]string{
			"proc/self/cgroup":                           "5:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "5242880\n",
		}, 4 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			writeTestFile(t, root, "proc/meminfo", meminfo)
			for name, text := range tt.files {
				writeTestFile(t, root, name, text)
			}
			got, err := defaultMemory(root)
			if err != nil {
				t.Fatal(err)
			}
			// Divided before it is multiplied: up to four bytes less.
			if got > tt.want || got < tt.want-4 {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	if _, err := defaultMemory(t.TempDir()); err == nil {
		t.Error("no error without /proc/meminfo")
	}
}

func writeTestFile(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
