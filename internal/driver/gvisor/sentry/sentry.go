// Package sentry is the inside of a gVisor box: the same binary, re-executed
// with another name, becomes gVisor's "boot" (the sandbox's kernel) or "gofer"
// (which serves host directories to it). Everything here runs once per sandbox,
// so it is kept short.
package sentry

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"gvisor.dev/gvisor/runsc/cli"
	"gvisor.dev/gvisor/runsc/cmd"
	"gvisor.dev/gvisor/runsc/cmd/sentry/sentrycmd"
	"gvisor.dev/gvisor/runsc/cmd/util"
	"gvisor.dev/gvisor/runsc/specutils"
)

// The names (argv[0]) that make this binary a sentry. gVisor's own code
// re-executes /proc/self/exe as the last one.
const (
	BootName  = "runsc-sandbox"
	GoferName = "runsc-gofer"
	selfName  = "exe"
)

// Environment of a boot process: descriptor numbers, and nothing else.
const (
	EnvUmount   = "BRIG_UMOUNT_FD"
	EnvEvidence = "BRIG_EVIDENCE_FD"
)

// Dispatch becomes a sentry and does not return, if this process was started as
// one. main calls it before anything else.
func Dispatch() {
	name := filepath.Base(os.Args[0])
	if name != BootName && name != GoferName && name != selfName {
		return
	}
	runtime.MemProfileRate = 0 // nobody could read the profile
	Version()
	installFilters()
	takeCPU()
	prepareHeap()
	if fd, ok := envFD(EnvUmount); ok {
		specutils.ExePath = fmt.Sprintf("/proc/self/fd/%d", fd)
	}
	if fd, ok := envFD(EnvEvidence); ok {
		watchRefusals(fd)
	}
	cli.Run(nil, map[util.SubCommand]string{
		new(sentrycmd.Boot):   "internal",
		new(cmd.Gofer):        "internal",
		new(sentrycmd.Umount): "internal",
	}, nil)
	os.Exit(0)
}

func envFD(name string) (int, bool) {
	v := os.Getenv(name)
	os.Unsetenv(name)
	fd, err := strconv.Atoi(v)
	return fd, err == nil && fd >= 3
}
