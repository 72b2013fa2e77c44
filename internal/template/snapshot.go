package template

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/image"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// The kinds of snapshot that a template is baked into.
const (
	// OneShot has a warm interpreter that runs one program in place.
	OneShot = "oneshot"
	// Session has one that forks for each program and outlives them.
	Session = "session"
	// Code has the code interpreters that a session takes up, and nothing else: what
	// is in memory is read at each restore.
	Code = "code"
)

// Manifest is manifest.json of a snapshot: what it depends on and what it
// consists of. It is written last, so that a snapshot without one does not exist.
type Manifest struct {
	Version int         `json:"version"`
	Key     SnapshotKey `json:"key"`
	Files   []FileSum   `json:"files"`
	// Kernels are the code interpreters that wait in it.
	Kernels []api.KernelRef `json:"kernels,omitempty"`
	BakedAt time.Time       `json:"baked_at"`
	TookMS  int64           `json:"took_ms"`
}

// SnapshotKey is everything that a snapshot depends on: another value is
// another snapshot.
type SnapshotKey struct {
	Image     string `json:"image"` // digest; the guest's programs are inside
	Path      string `json:"path"`  // of the image: a restored box looks for it there
	Kind      string `json:"kind"`
	Driver    string `json:"driver"`
	DriverKey string `json:"driver_key"` // the driver's build and the CPU's features
	DiskBytes int64  `json:"disk_bytes"`
	CPUs      int    `json:"cpus"` // that the guest sees
	Kernels   string `json:"kernels,omitempty"`
}

// FileSum is one file of a snapshot.
type FileSum struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest"`
}

// Bytes is the size of all files.
func (m Manifest) Bytes() (sum int64) {
	for _, f := range m.Files {
		sum += f.Bytes
	}
	return sum
}

func (k SnapshotKey) dirName() string {
	data, _ := json.Marshal(k) // strings and numbers marshal without fail
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// kernelKey is what baked kernels depend on besides the image: the cell that warms
// them up.
func kernelKey(languages []string) string {
	var list []string
	for _, l := range languages {
		list = append(list, fmt.Sprintf("%s-%.8x", l, sha256.Sum256([]byte(kernel.WarmUp(l)))))
	}
	return strings.Join(list, ",")
}

// Snapshot gives the directory of t's warm snapshot for driver d, baking it if
// there is none or if what is there cannot be trusted. It stays until Close.
// Processes that want the same snapshot bake it once. The directory is "" when
// the driver cannot restore or nothing of the template is warm.
func (c *Catalog) Snapshot(ctx context.Context, t Template, d driver.Driver, kind string, l api.Limits) (string, error) {
	keyer, ok := d.(driver.SnapshotKeyer)
	if !ok || !t.Warm {
		return "", nil
	}
	key := SnapshotKey{
		Image: t.Digest, Path: t.Root.Image, Kind: kind, Driver: d.Name(), DriverKey: keyer.SnapshotKey(),
		DiskBytes: l.DiskBytes, CPUs: max(1, int(math.Ceil(l.CPUs))),
	}
	if kind == Code && c.opts.Kernel != nil {
		key.Kernels = kernelKey(t.Kernels)
	}
	dir := c.path("snapshots", key.dirName())
	if c.useSnapshot(ctx, dir, key) == nil {
		return dir, nil
	}
	unlock, err := lock(ctx, c.path("locks", "snapshot-"+key.dirName()))
	if err != nil {
		return "", err
	}
	defer unlock()
	bad := c.useSnapshot(ctx, dir, key)
	if bad == nil {
		return dir, nil // another process has just baked it
	}
	if !errors.Is(bad, os.ErrNotExist) {
		c.log.Warn("a snapshot is baked again", "template", t.Name, "because", bad)
	}
	return dir, c.bakeSnapshot(ctx, t, d, l, key, dir)
}

// useSnapshot checks and holds a snapshot. Any error means that it must not be
// used; os.ErrNotExist that there is none.
func (c *Catalog) useSnapshot(ctx context.Context, dir string, key SnapshotKey) error {
	manifest := filepath.Join(dir, "manifest.json")
	if err := c.hold(manifest); err != nil {
		return err
	}
	err := c.checkSnapshot(ctx, dir, key)
	if err != nil {
		c.unhold(manifest)
	}
	return err
}

func (c *Catalog) checkSnapshot(ctx context.Context, dir string, key SnapshotKey) error {
	var m Manifest
	if err := readJSON(filepath.Join(dir, "manifest.json"), &m); err != nil {
		return fmt.Errorf("its manifest cannot be read")
	}
	if m.Version != recordVersion || m.Key != key || len(m.Files) == 0 {
		return fmt.Errorf("its manifest is of something else")
	}
	for _, f := range m.Files {
		if err := c.intact(ctx, filepath.Join(dir, filepath.Base(f.Name)), f.Digest, f.Bytes); err != nil {
			return err
		}
	}
	// The time of the last use decides what a sweep takes.
	now := time.Now()
	if err := os.Chtimes(filepath.Join(dir, usedName), now, now); err != nil {
		return err
	}
	return nil
}

// usedName is a file in a snapshot whose time says when it was last used.
const usedName = "used"

// bakeSnapshot bakes into a temporary directory and gives it its name when it is
// whole. The caller has the lock of the key.
func (c *Catalog) bakeSnapshot(ctx context.Context, t Template, d driver.Driver, l api.Limits, key SnapshotKey, dir string) error {
	start := time.Now()
	rec, err := c.record(t.Digest)
	if err != nil {
		return c.damaged(t.Name, "its record is missing")
	}
	temp, err := os.MkdirTemp(c.scratch, "bake-")
	if err != nil {
		return fileError("make a directory in", c.scratch, err)
	}
	defer os.RemoveAll(temp) // nothing is left of it after the rename
	kernels, err := c.bake(ctx, bakeSpec{t: t, d: d, l: l, kind: key.Kind, rec: rec}, temp)
	if err != nil {
		return err
	}
	m := Manifest{Version: recordVersion, Key: key, Kernels: kernels, BakedAt: time.Now().UTC(), TookMS: time.Since(start).Milliseconds()}
	if m.Files, err = sumFiles(ctx, temp); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(temp, usedName), nil, 0o600); err != nil {
		return fileError("write", temp, err)
	}
	if err := c.writeJSON(filepath.Join(temp, "manifest.json"), m); err != nil {
		return err
	}
	if err := c.installSnapshot(ctx, temp, dir); err != nil {
		return err
	}
	c.log.Info("baked", "template", t.Name, "kind", key.Kind, "driver", key.Driver, "bytes", m.Bytes(), "ms", m.TookMS)
	err = c.useSnapshot(ctx, dir, key) // held, so that the sweep spares it
	c.sweep(ctx)
	return err
}

// Kernels gives the code interpreters that wait in a snapshot's directory, which
// Snapshot gave.
func Kernels(dir string) []api.KernelRef {
	var m Manifest
	if dir == "" || readJSON(filepath.Join(dir, "manifest.json"), &m) != nil {
		return nil
	}
	return m.Kernels
}

// sumFiles syncs and sums the files that a driver wrote.
func sumFiles(ctx context.Context, dir string) ([]FileSum, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fileError("read", dir, err)
	}
	var sums []FileSum
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fileError("read", dir, err)
		}
		digest, size, err := image.Digest(ctx, f)
		if err == nil {
			err = f.Sync()
		}
		f.Close()
		if err != nil {
			return nil, fileError("write", f.Name(), err)
		}
		sums = append(sums, FileSum{Name: e.Name(), Bytes: size, Digest: digest})
	}
	if len(sums) == 0 {
		return nil, api.Errorf(api.CodeInternal, "cannot keep a snapshot: because the driver wrote no file of it")
	}
	return sums, nil
}

// installSnapshot replaces what is at dir, which is nothing that can be used. A
// process that still restores from it has its files open.
func (c *Catalog) installSnapshot(ctx context.Context, temp, dir string) error {
	unlock, err := lock(ctx, c.path("locks", "install"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.RemoveAll(dir); err != nil {
		return fileError("remove", dir, err)
	}
	if err := os.Rename(temp, dir); err != nil {
		return fileError("write", dir, err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return fileError("write", dir, err)
	}
	return nil
}

// snapshotsOf lists the manifests of one image's snapshots.
func (c *Catalog) snapshotsOf(digest string) []Manifest {
	var list []Manifest
	dirs, _ := filepath.Glob(c.path("snapshots", "*", "manifest.json"))
	for _, path := range dirs {
		var m Manifest
		if readJSON(path, &m) == nil && m.Version == recordVersion && m.Key.Image == digest {
			list = append(list, m)
		}
	}
	return list
}
