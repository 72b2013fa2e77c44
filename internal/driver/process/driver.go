package process

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
	"github.com/brigdev/brig/internal/guest/agent"
)

// handleVersion is the version of this driver's handles.
const handleVersion = 1

// Config configures a Driver.
type Config struct {
	// StateDir is where the boxes' directories are made, in process/. Two
	// drivers may share it.
	StateDir string
	Log      *slog.Logger // nil: no logs
}

// Driver makes boxes without a boundary.
type Driver struct {
	dir     string
	log     *slog.Logger
	program *os.File // the agent
	spawner *spawner

	mu    sync.Mutex // guards what follows
	boxes map[string]*Box
}

var _ driver.Driver = (*Driver)(nil)

// New makes the driver and its directory.
func New(cfg Config) (*Driver, error) {
	dir, err := filepath.Abs(filepath.Join(cfg.StateDir, "process"))
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, api.Errorf(api.CodeUnavailable, "cannot run plain processes: because their directory cannot be made: %w", err).
			WithFix("set BRIG_STATE to a directory that you may write to")
	}
	program, err := memoryProgram("brig-agent", agent.Binary())
	if err != nil {
		return nil, api.Errorf(api.CodeUnavailable, "cannot run plain processes: because the agent cannot be loaded: %w", err).
			WithFix("allow executable memory files: sysctl vm.memfd_noexec=0")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Driver{dir: dir, log: log, program: program, spawner: newSpawner(), boxes: map[string]*Box{}}, nil
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return "process" }

// Rung implements driver.Driver.
func (d *Driver) Rung() api.Rung { return api.RungProcess }

// Probe implements driver.Driver.
func (d *Driver) Probe(ctx context.Context) driver.Probe {
	p := driver.Probe{Driver: d.Name(), Rung: d.Rung(), Degraded: []driver.Degraded{{
		What: "a boundary",
		Cost: "programs can do all that you can",
		Fix:  "use --isolation auto",
	}, {
		What: "a /work of its own",
		Cost: "a program finds its files in the directory where it starts; /work is the host's",
		Fix:  "use relative names, or --isolation auto",
	}}}
	start := time.Now()
	if err := d.probe(ctx); err != nil {
		p.Reason, p.Fix = err.Error(), api.FixOf(err)
		return p
	}
	p.OK, p.Took = true, time.Since(start)
	return p
}

func (d *Driver) probe(ctx context.Context) error {
	id := "probe-" + time.Now().Format("150405-000000000")
	b, err := d.Create(ctx, driver.BoxSpec{ID: id, Limits: api.DefaultLimits(), Attached: true})
	if err != nil {
		return err
	}
	c, err := guest.Start(ctx, b.Channel(), [64]byte{}, time.Now(), guest.Identity{})
	if err == nil {
		err = c.Close()
	}
	return errors.Join(err, b.Destroy(context.WithoutCancel(ctx)))
}

// Find implements driver.Driver: an agent ends when its channel closes, and so
// with its maker.
func (d *Driver) Find(context.Context, driver.Handle) (driver.Box, error) {
	return nil, api.Errorf(api.CodeUnsupported, "cannot take up a box: because plain processes end with the Brig that started them").
		WithFix("make a new box")
}

// Destroy implements driver.Driver.
func (d *Driver) Destroy(ctx context.Context, h driver.Handle) error {
	dir, err := d.boxDir(h.ID)
	if err != nil {
		return err
	}
	d.mu.Lock()
	b := d.boxes[h.ID]
	d.mu.Unlock()
	if b != nil {
		return b.Destroy(ctx)
	}
	return remove(ctx, dir)
}

// Leftovers implements driver.Driver. A box's directory is there before its
// first process and goes after its last.
func (d *Driver) Leftovers(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, api.Errorf(api.CodeInternal, "cannot list plain boxes: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if validID.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// Close implements driver.Driver.
func (d *Driver) Close() error {
	d.spawner.close()
	return d.program.Close()
}

// validID is what an id looks like: it becomes a directory's name, which is
// removed with all that it holds.
var validID = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

func (d *Driver) boxDir(id string) (string, error) {
	if !validID.MatchString(id) {
		return "", api.Errorf(api.CodeInvalid, "cannot use the box id %q: because it has other characters than a-z, 0-9 and -", id).
			WithFix("name an id that brig ps lists")
	}
	return filepath.Join(d.dir, id), nil
}
