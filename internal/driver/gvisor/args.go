package gvisor

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
	"gvisor.dev/gvisor/pkg/cpuid"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/flag"
)

// globalFlags renders gVisor's configuration as flags for a boot process.
func globalFlags(root string) ([]string, error) {
	fs := flag.NewFlagSet("brig-gvisor", flag.ContinueOnError)
	config.RegisterFlags(fs)
	for _, kv := range [][2]string{
		{"root", root}, {"network", "none"}, {"ignore-cgroups", "true"}, {"host-settings", "ignore"},
		{"platform", "systrap"}, {"directfs", "false"},
	} {
		if err := fs.Set(kv[0], kv[1]); err != nil {
			return nil, fmt.Errorf("cannot set gVisor's flag %s: %w", kv[0], err)
		}
	}
	conf, err := config.NewFromFlags(fs)
	if err != nil {
		return nil, fmt.Errorf("cannot configure gVisor: %w", err)
	}
	return conf.ToFlags(), nil
}

// donor numbers the files that a child gets, from 3 up, in order.
type donor struct{ files []*os.File }

func (d *donor) give(f *os.File) string {
	d.files = append(d.files, f)
	return strconv.Itoa(2 + len(d.files))
}

// bootFiles are what a boot process is handed. The driver closes its own copies
// after the fork.
type bootFiles struct {
	image, spec, start, control, null, channel, log, umount, evidence, mounts, disk *os.File
	gofer                                                                           []*os.File
}

func (d *Driver) bootArgs(spec driver.BoxSpec, f bootFiles, don *donor) (args, env []string) {
	log := don.give(f.log)
	args = append(args, d.global...)
	args = append(args, "--panic-log-fd="+log, "boot", "--bundle="+d.empty,
		"--io-fds="+don.give(f.image))
	for _, g := range f.gofer {
		args = append(args, "--io-fds="+don.give(g))
	}
	if f.disk != nil {
		args = append(args, "--gofer-filestore-fds="+don.give(f.disk))
	}
	if f.mounts != nil {
		args = append(args, "--mounts-fd="+don.give(f.mounts))
	}
	args = append(args,
		"--start-sync-fd="+don.give(f.start), "--controller-fd="+don.give(f.control), "--spec-fd="+don.give(f.spec),
		"--stdio-fds="+don.give(f.null), "--stdio-fds="+don.give(f.null), "--stdio-fds="+don.give(f.null),
		"--pass-fd="+don.give(f.channel)+":3",
		"--gofer-mount-confs="+d.mountConfs(spec),
		"--total-memory="+strconv.FormatInt(spec.Limits.MemoryBytes, 10),
		"--total-host-memory="+strconv.FormatUint(hostMemory(), 10),
		"--cpu-num="+cpuCount(), "--setup-root", "--apply-caps=true", "--product-name=sandbox")
	if spec.Attached {
		args = append(args, "--attached")
	}
	// The Go runtime would look up its cgroup, and keep its files open.
	env = []string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0", sentry.EnvCPU + "=" + d.cpu, sentry.EnvUmount + "=" + don.give(f.umount), sentry.EnvEvidence + "=" + don.give(f.evidence)}
	return append(args, spec.ID), env
}

// mountConfs says what is below and above each mount, root first.
func (d *Driver) mountConfs(spec driver.BoxSpec) string {
	upper := "memory"
	if d.onDisk {
		upper = "anon"
	}
	conf := fmt.Sprintf("erofs:%s:size=%d", upper, spec.Limits.DiskBytes)
	for range spec.Root.Binds {
		conf += ",lisafs:none"
	}
	return conf
}

func sentryVersion() string { return sentry.Version() }

func cpuCount() string { return strconv.Itoa(runtime.NumCPU()) }

func cpuFeatures() string {
	cpuid.Initialize()
	return cpuid.HostFeatureSet().FlagString()
}
