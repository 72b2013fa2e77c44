package gvisor

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/brigdev/brig/internal/driver"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// agentCaps is what the agent may do inside: become the program's user, own
// files, kill, and read what it lists. Never SYS_RESOURCE or SYS_ADMIN: either
// one switches the process limit off inside the sentry.
var agentCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_KILL", "CAP_SYS_CHROOT",
}

// shmSize is what others give to /dev/shm by default, too.
const shmSize = "67108864"

// ociSpec describes the box to the sentry. Restore compares most of it with the
// snapshot's, so nothing that differs between two sandboxes of one template may
// be in here, except the host name.
func ociSpec(spec driver.BoxSpec, emptyRoot string) *specs.Spec {
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		// For POSIX shared memory and semaphores; it counts as memory.
		{Destination: "/dev/shm", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=1777", "size=" + shmSize}},
	}
	for _, b := range spec.Root.Binds {
		mounts = append(mounts, specs.Mount{Destination: b.Target, Type: "bind", Source: b.Source, Options: []string{"rbind", "ro"}})
	}
	return &specs.Spec{
		Version:  "1.0.0",
		Hostname: spec.Hostname,
		Root:     &specs.Root{Path: emptyRoot},
		Process: &specs.Process{
			Args:         spec.Agent,
			Env:          []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
			Cwd:          "/",
			Capabilities: &specs.LinuxCapabilities{Bounding: agentCaps, Effective: agentCaps, Permitted: agentCaps},
		},
		Mounts: mounts,
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
		}},
		Annotations: map[string]string{
			"dev.gvisor.spec.rootfs.source":  spec.Root.Image,
			"dev.gvisor.spec.rootfs.type":    "erofs",
			"dev.gvisor.spec.rootfs.overlay": "memory",
		},
	}
}

// specFile puts the description into a file without a name.
func specFile(s *specs.Spec) (*os.File, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return memoryFile("brig-spec", b)
}

func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make a memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteAt(content, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
