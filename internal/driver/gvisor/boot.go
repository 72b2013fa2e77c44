package gvisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/cgroup"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
	"github.com/brigdev/brig/internal/guest/agent"
	"golang.org/x/sys/unix"
)

// bootCaps is what a sentry needs to set itself up; it gives up all but SYS_PTRACE
// before any guest code runs. With SETPCAP it would trim its bounding set, too,
// one capability and one stop of all its threads after another: 3 ms of processor
// time for nothing, since that set begins as these three, and is without effect
// once there are no new privileges and seccomp refuses every execve.
var bootCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SYS_PTRACE}

// boot makes a box, cold or from a snapshot. Whatever fails, b.Destroy takes
// back what was made so far: every step is safe to undo before it was done.
func (d *Driver) boot(ctx context.Context, spec driver.BoxSpec) (*Box, error) {
	b := newBox(d, spec)
	start, err := b.spawn()
	if err == nil {
		err = b.awaitControl(ctx, start)
	} else {
		closeAll([]*os.File{start})
	}
	if err == nil {
		err = b.run(ctx)
	}
	if err == nil {
		err = ctx.Err() // then a kill may be under way
	}
	if err == nil {
		return b, nil
	}
	detail := b.log()
	_ = b.Destroy(context.WithoutCancel(ctx))
	if ctx.Err() != nil {
		return nil, api.Errorf(api.CodeCancelled, "cannot start a gVisor box: %w", context.Cause(ctx))
	}
	if detail != "" {
		return nil, api.Errorf(api.CodeInternal, "cannot start a gVisor box: %w; the sentry said: %s", err, detail)
	}
	return nil, api.Errorf(api.CodeInternal, "cannot start a gVisor box: %w", err).WithFix("brig doctor says what this host lacks")
}

// spawn forks the boot process and returns the pipe on which it says that it is
// ready.
func (b *Box) spawn() (ready *os.File, err error) {
	f, ready, err := b.prepare()
	defer f.close()
	if err != nil {
		return ready, err
	}
	if len(b.spec.Root.Binds) > 0 {
		if err := b.spawnGofer(&f); err != nil {
			return ready, err
		}
	}
	var don donor
	args, env := b.d.bootArgs(b.spec, f, &don)
	p, err := b.d.spawn.start(process{
		name: sentry.BootName, args: args, env: env, files: don.files, caps: bootCaps, attached: b.spec.Attached,
	}, b.d.cgroups, b.group)
	if err != nil {
		return ready, explainFork(err)
	}
	b.adopt(p)
	return ready, nil
}

func explainFork(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) { // ENOSPC: there may be no more of them
		return api.Errorf(api.CodeUnavailable, "cannot make the namespaces of a box: %w", err).
			WithFix("allow user namespaces: sysctl -w user.max_user_namespaces=15000 kernel.apparmor_restrict_unprivileged_userns=0, or run as root")
	}
	return err
}

// prepare makes the cgroup and all files of a boot process.
func (b *Box) prepare() (f bootFiles, ready *os.File, err error) {
	l := b.spec.Limits
	if len(b.d.cgroups.Controllers()) > 0 {
		b.group, err = b.d.cgroups.Create(b.spec.ID, cgroup.Limits{
			MemoryBytes: l.MemoryBytes + memoryOverhead,
			// A backstop behind the sentry's own limit: its threads and stubs count too.
			PIDs: 256 + 4*l.PIDs,
		})
		if err != nil {
			return f, nil, fmt.Errorf("cannot make the cgroup: %w", err)
		}
		if b.spec.Background {
			_ = b.group.SetBackground(true) // if not, it only takes its share
		}
	}
	step := func(to **os.File, from *os.File, e error) {
		*to = from
		if err == nil {
			err = e
		}
	}
	image, e := os.Open(b.spec.Root.Image)
	step(&f.image, image, e)
	spec, e := specFile(ociSpec(b.spec, b.d.empty))
	step(&f.spec, spec, e)
	null, e := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	step(&f.null, null, e)
	control, e := controlSocket(b.d.root, b.spec.ID)
	step(&f.control, control, e)
	log, e := memoryFile("brig-log", nil)
	step(&f.log, log, e)
	umount, e := memoryFile("brig-umount", agent.Umount())
	step(&f.umount, umount, e)
	conn, channel, e := channelPair()
	step(&f.channel, channel, e)
	b.conn = conn
	if b.d.onDisk {
		disk, e := b.d.scratch()
		step(&f.disk, disk, e)
		b.disk = f.disk
	}
	evidence, e := b.shareEvidence()
	step(&f.evidence, evidence, e)
	ready, w, e := os.Pipe()
	step(&f.start, w, e)
	b.logFile = f.log
	return f, ready, err
}

// shareEvidence makes the page on which the sentry counts what it refused.
func (b *Box) shareEvidence() (*os.File, error) {
	f, err := memoryFile("brig-evidence", make([]byte, sentry.EvidenceSize))
	if err != nil {
		return nil, err
	}
	b.evidence, b.evidencePage, err = sentry.MapEvidence(int(f.Fd()), false)
	return f, err
}

// close gives up our copies after the fork; the log and the disk stay.
func (f bootFiles) close() {
	closeAll([]*os.File{f.image, f.spec, f.start, f.control, f.null, f.channel, f.umount, f.evidence, f.mounts})
	closeAll(f.gofer)
}

// awaitControl waits for the byte that says that the control server is up.
func (b *Box) awaitControl(ctx context.Context, ready *os.File) error {
	defer ready.Close()
	stop := context.AfterFunc(ctx, func() { ready.Close() })
	defer stop()
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return fmt.Errorf("the sentry ended before it was ready")
	}
	return nil
}

// run starts or restores the guest. A cancelled context kills the sentry, which
// ends any call in flight.
func (b *Box) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, b.kill)
	defer stop()
	c, err := dialControl(b.d.root, b.spec.ID)
	if err != nil {
		return err
	}
	defer c.close()
	restore := b.spec.Snapshot != ""
	if err := c.setNetwork(b.spec.Link, restore); err != nil {
		return err
	}
	if restore {
		err = c.restore(b.spec.Snapshot)
	} else {
		err = c.start(b.spec.ID)
	}
	if err != nil {
		return err
	}
	// The processor limit is the program's: starting the box was our own work.
	if err := b.limitCPUs(b.spec.Limits.CPUs); err != nil {
		return err
	}
	b.d.memory.add(b)
	return nil
}

// limitCPUs limits processor time from now on, if there is to be a limit.
func (b *Box) limitCPUs(cpus float64) error {
	if b.group == nil || b.spec.Limits.CPUs == 0 {
		return nil
	}
	if err := b.group.SetCPUs(cpus); err != nil {
		return fmt.Errorf("cannot limit the processor: %w", err)
	}
	return nil
}

// scratch is a file without a name for what a program writes: it is gone with
// the last descriptor, whatever happens to us.
func (d *Driver) scratch() (*os.File, error) {
	f, err := os.OpenFile(d.cfg.ScratchDir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot make a scratch file in %s: %w", d.cfg.ScratchDir, err)
	}
	return f, nil
}

func (d *Driver) socketPath(id string) string { return filepath.Join(d.root, id+".sock") }
