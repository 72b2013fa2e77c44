// Package gvisor is the driver of the gvisor rung: the sandbox kernel of
// gvisor.dev (the "sentry"), embedded in this binary and started by re-executing
// it. It needs no KVM, no daemon and no runsc on the host.
//
// A box is one boot process in its own user, pid, mount, ipc and uts namespaces,
// running as nobody under seccomp with an empty root, plus its stubs. The root
// filesystem is one EROFS image, mapped read-only; what the program writes goes
// to a scratch file without a name, with a size cap. There is no network device but
// loopback, unless the box is given a link. Nothing else exists on the host: no mount, no netns, no metadata
// file; only a control socket, and a cgroup where the host lets us have one.
//
// Platform: systrap. Verified against the pinned gVisor version only; flags and
// calls of the sentry are internal to it.
package gvisor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/cgroup"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
	"golang.org/x/sys/unix"
)

// Name of the driver.
const Name = "gvisor"

const handleVersion = 1

// memoryOverhead is what the sentry itself may use on top of the program's
// limit: its heap is about 20 MiB, and it grows with processes and open files.
const memoryOverhead = 64 << 20

// Config of the driver.
type Config struct {
	// StateDir holds control sockets; private to this user.
	StateDir string
	// ScratchDir is where the files live that programs write, without names, on
	// a disk: there they do not count against the memory limit. Empty, or a
	// place that cannot hold such files, means in memory.
	ScratchDir string
	// NoCgroup makes the driver take its fall-back even where it need not: for
	// tests.
	NoCgroup bool
	Log      *slog.Logger
}

// Driver makes gVisor boxes.
type Driver struct {
	cfg     Config
	root    string // of sockets, and what identifies our boot processes
	empty   string // an empty directory for the spec's root path
	onDisk  bool   // ScratchDir is of use
	cgroups *cgroup.Tree
	global  []string // gVisor's global flags
	cpu     string   // the processor, as boot processes are told of it
	spawn   *spawner
	memory  *memoryWatch

	probeOnce sync.Once
	probe     driver.Probe
}

var (
	_ driver.Driver        = (*Driver)(nil)
	_ driver.SnapshotKeyer = (*Driver)(nil)
)

// New prepares the driver: directories, cgroup parent, and the thread that
// forks every box.
func New(cfg Config) (*Driver, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Driver{cfg: cfg, root: filepath.Join(cfg.StateDir, "gvisor")}
	d.empty = filepath.Join(d.root, "empty")
	if err := os.MkdirAll(d.empty, 0o755); err != nil {
		return nil, api.Errorf(api.CodeUnavailable, "cannot use the state directory: %w", err).WithFix("set BRIG_STATE to a directory that you can write to")
	}
	flags, err := globalFlags(d.root)
	if err != nil {
		return nil, err
	}
	d.global, d.cpu = flags, sentry.CPU()
	d.cgroups = &cgroup.Tree{}
	if !cfg.NoCgroup {
		d.cgroups = cgroup.Open(cgroupName(d.root))
	}
	if cfg.ScratchDir != "" {
		_ = os.MkdirAll(cfg.ScratchDir, 0o700) // if not, the next line tells
	}
	if f, err := d.scratch(); err == nil {
		d.onDisk = true
		f.Close()
	}
	d.sweepProbes()
	d.memory = newMemoryWatch()
	relaxTimers()
	d.spawn, err = startSpawner(os.Geteuid() == 0)
	return d, err
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return Name }

// Rung implements driver.Driver.
func (d *Driver) Rung() api.Rung { return api.RungGVisor }

// SnapshotKey implements driver.SnapshotKeyer: a snapshot loads only into the
// same build of the sentry, with the same description of the box, on a host with
// the same CPU features and count.
func (d *Driver) SnapshotKey() string {
	spec, _ := json.Marshal(ociSpec(driver.BoxSpec{}, "")) // the part that all boxes share
	sum := sha256.Sum256(spec)
	return fmt.Sprintf("%s %s spec=%x disk=%t cpus=%s features=%s",
		sentryVersion(), runtime.GOARCH, sum[:8], d.onDisk, cpuCount(), cpuFeatures())
}

// Find implements driver.Driver. Boxes die with the process that made them.
func (d *Driver) Find(context.Context, driver.Handle) (driver.Box, error) {
	return nil, api.Errorf(api.CodeUnsupported, "cannot take up a gVisor box of another process: because it died with its maker")
}

// Close implements driver.Driver.
func (d *Driver) Close() error {
	d.memory.close()
	err := d.spawn.close()
	d.cgroups.Close()
	return err
}

// cgroupName ties cgroups to the state directory: cleaning up after one must
// not touch the boxes of another.
func cgroupName(root string) string {
	sum := sha256.Sum256([]byte(root))
	return "brig-" + hex.EncodeToString(sum[:4])
}

// Create implements driver.Driver.
func (d *Driver) Create(ctx context.Context, spec driver.BoxSpec) (driver.Box, error) {
	if spec.Snapshot != "" && len(spec.Root.Binds) > 0 {
		return nil, api.Errorf(api.CodeUnsupported, "cannot restore a template that shows host directories")
	}
	if spec.Root.Image == "" {
		return nil, api.Errorf(api.CodeInvalid, "cannot boot without a root filesystem image").WithFix("build the template again: brig template build NAME")
	}
	b, err := d.boot(ctx, spec)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// hostMemory is what this machine has, in bytes.
var hostMemory = sync.OnceValue(func() uint64 {
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) != nil {
		return 0
	}
	return uint64(si.Totalram) * uint64(si.Unit)
})
