package gvisor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
	"github.com/brigdev/brig/internal/guest/agent"
	"github.com/brigdev/brig/internal/image"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/runsc/config"
)

// Probe implements driver.Driver: it boots a guest that consists of the agent
// alone, and asks it something. The answer is remembered.
func (d *Driver) Probe(ctx context.Context) driver.Probe {
	d.probeOnce.Do(func() {
		d.probe = driver.Probe{Driver: Name, Rung: d.Rung(), Snapshots: true, Degraded: d.degraded()}
		start := time.Now()
		err := d.tryGuest(ctx)
		d.probe.Took = time.Since(start)
		d.probe.OK = err == nil
		if err != nil {
			d.probe.Reason, d.probe.Fix = err.Error(), api.FixOf(err)
		}
	})
	return d.probe
}

func (d *Driver) tryGuest(ctx context.Context) error {
	if config.CgoEnabled {
		return api.Errorf(api.CodeUnavailable, "cannot run gVisor: because this binary was built with cgo, and the sentry then can't confine its own threads").
			WithFix("build with CGO_ENABLED=0 (make build does)")
	}
	unlock, err := d.lockProbes(unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer unlock()
	path, err := d.probeImage(ctx)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	l := api.DefaultLimits()
	b, err := d.boot(ctx, driver.BoxSpec{
		ID: probeID(path), Hostname: "probe", Limits: l, Attached: true,
		Root: driver.RootFS{Image: path}, Agent: []string{"/agent"},
	})
	if err != nil {
		return err
	}
	defer b.Destroy(context.WithoutCancel(ctx))
	c, err := guest.Start(ctx, b.Channel(), [64]byte{}, time.Now(), guest.Identity{})
	if err != nil {
		return err
	}
	_, err = c.List(ctx, "/", 10)
	_ = c.Close()
	return err
}

// A probe is in no journal. Its image is named after it, and is there for longer
// than its box.
const probeSuffix = ".erofs"

func probeID(image string) string { return strings.TrimSuffix(filepath.Base(image), probeSuffix) }

// lockProbes is held, shared, by whoever probes, and alone by who cleans up.
func (d *Driver) lockProbes(how int) (unlock func(), err error) {
	dir, err := os.Open(d.root)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), how); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() { dir.Close() }, nil
}

// sweepProbes removes what probes left whose process was killed. It is for the
// next one to do when somebody probes just now.
func (d *Driver) sweepProbes() {
	images, _ := filepath.Glob(filepath.Join(d.root, "probe-*"+probeSuffix))
	if len(images) == 0 {
		return
	}
	unlock, err := d.lockProbes(unix.LOCK_EX | unix.LOCK_NB)
	if err != nil {
		return
	}
	defer unlock()
	for _, image := range images {
		if err := d.Destroy(context.Background(), driver.Handle{ID: probeID(image)}); err != nil {
			d.cfg.Log.Warn("cannot remove a dead probe", "id", probeID(image), "error", err)
			continue
		}
		_ = os.Remove(image) // if not, the next one tries again
	}
}

// probeImage is a root filesystem of one program.
func (d *Driver) probeImage(ctx context.Context) (string, error) {
	f, err := os.CreateTemp(d.root, "probe-*"+probeSuffix)
	if err != nil {
		return "", err
	}
	defer f.Close()
	w, err := image.NewWriter(f, image.Limits{})
	if err == nil {
		err = w.AddContents(ctx, []image.Content{
			{Entry: image.Entry{Path: "agent", Kind: image.File, Mode: 0o755}, Data: agent.Binary()},
			{Entry: image.Entry{Path: "proc", Kind: image.Dir, Mode: 0o755}},
		})
	}
	if err == nil {
		_, err = w.Finish(ctx)
	}
	if err == nil {
		// The sentry gets the open file; the name is read by nobody else.
		err = f.Chmod(0o644)
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return filepath.Clean(f.Name()), nil
}

// degraded lists the fall-backs in use, with the costs that were measured for
// them.
func (d *Driver) degraded() []driver.Degraded {
	var out []driver.Degraded
	if os.Geteuid() != 0 {
		out = append(out, driver.Degraded{
			What: "not root", Fix: "run as root, or run Brig as a user of its own",
			Cost: "a sentry runs with this user's own uid behind its user namespace: an escape would reach this user's files",
		})
	}
	for _, c := range []struct{ name, cost string }{
		{"memory", "memory is watched every 10 ms from outside and can pass its limit for that long"},
		{"pids", "the process limit is enforced inside the sandbox only"},
		{"cpu", "a sandbox may use every processor that the host has; --cpus is not enforced"},
	} {
		if !d.cgroups.Has(c.name) {
			out = append(out, driver.Degraded{
				What: "no writable " + c.name + " cgroup", Cost: c.cost,
				Fix: "run as root, or in a delegated group: systemd-run --user --scope -p Delegate=yes brig …",
			})
		}
	}
	if !d.onDisk {
		out = append(out, driver.Degraded{
			What: "no disk for programs' files", Cost: "what a program writes counts against its memory limit too",
			Fix: "put the data directory ($BRIG_DATA) on a disk filesystem that knows O_TMPFILE, such as ext4, xfs or btrfs",
		})
	}
	return out
}
