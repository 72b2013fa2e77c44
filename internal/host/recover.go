package host

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// Report is what Recover found, and removed unless it was a dry run.
type Report struct {
	DryRun bool `json:"dry_run"`
	// Owners is how many dead Brig processes had left something.
	Owners int `json:"owners"`
	// Boxes are those that a dead process had journalled or that nobody knows.
	Boxes []Leftover `json:"boxes"`
	// Foreign is how many boxes exist that another state directory, a probe or a
	// bake may own; they are left alone.
	Foreign int `json:"foreign"`
}

// Leftover is a box without a living owner.
type Leftover struct {
	ID     string `json:"id"`
	Driver string `json:"driver"`
	// Journalled is false for what only the driver knew of.
	Journalled bool `json:"journalled"`
	// Error says why it could not be removed; the next Recover tries again.
	Error string `json:"error,omitempty"`

	from *owner // whose journal has it; nil for none
}

// Removed counts the boxes that are gone now.
func (r Report) Removed() int {
	if r.DryRun {
		return 0
	}
	return len(r.Boxes) - r.Failed()
}

// Failed counts the boxes that could not be removed.
func (r Report) Failed() int {
	n := 0
	for _, b := range r.Boxes {
		if b.Error != "" {
			n++
		}
	}
	return n
}

// Recover destroys what Brig processes that died left on this host: the boxes
// in their journals, and those that a driver still sees and no living process's
// journal has. The boxes of living processes are never touched. A box that can't
// be destroyed is in the report and stays in its journal; the error is for a
// state directory or driver that could not be asked at all.
func Recover(ctx context.Context, stateDir string, drivers []driver.Driver, dryRun bool, log *slog.Logger) (Report, error) {
	// First what exists, then who owns it. A record is older than its box, so a
	// box in the first list that no living owner knows in the second is nobody's.
	existing, err := leftovers(ctx, drivers)
	if err != nil {
		return Report{DryRun: dryRun, Boxes: []Leftover{}}, err
	}
	return recoverDead(ctx, stateDir, drivers, existing, dryRun, log)
}

// recoverDead is Recover for the journals of dead processes and the boxes that
// the caller found. Without those it costs next to nothing when nobody died, and
// misses only boxes whose journal somebody deleted: so it is done at every start.
func recoverDead(ctx context.Context, stateDir string, drivers []driver.Driver, existing map[string][]string, dryRun bool, log *slog.Logger) (Report, error) {
	report := Report{DryRun: dryRun, Boxes: []Leftover{}}
	dead, living, err := takeDead(stateDir)
	if err != nil {
		return report, err
	}
	defer func() {
		for _, o := range dead {
			o.release()
		}
	}()
	report.Owners = len(dead)
	for _, o := range dead {
		records, err := o.journal().read()
		if err != nil {
			return report, err
		}
		for _, r := range records {
			report.Boxes = append(report.Boxes, Leftover{ID: r.Handle.ID, Driver: r.Handle.Driver, Journalled: true, from: o})
		}
	}
	report.addUnknown(stateDir, existing, living)
	if dryRun {
		return report, nil
	}
	report.destroy(ctx, drivers, log)
	for _, o := range dead {
		// It fails when a box is still in its journal, which the report says.
		if err := o.remove(); err == nil {
			log.Debug("removed a dead owner", "dir", o.dir)
		}
	}
	return report, nil
}

// leftovers asks every driver for the boxes that exist, by driver name.
func leftovers(ctx context.Context, drivers []driver.Driver) (map[string][]string, error) {
	found := map[string][]string{}
	for _, d := range drivers {
		ids, err := d.Leftovers(ctx)
		if err != nil {
			return nil, api.Errorf(api.CodeInternal, "cannot list the boxes of %s: because %w", d.Name(), err)
		}
		found[d.Name()] = ids
	}
	return found, nil
}

// takeDead locks the directories of dead owners, and collects the ids in the
// journals of the others: the living, and those that somebody else cleans up.
func takeDead(stateDir string) (dead []*owner, living map[string]bool, err error) {
	if _, err := os.Stat(stateDir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	gc, err := lockFile(filepath.Join(stateDir, gcLockName), unix.LOCK_EX)
	if err != nil {
		return nil, nil, badStateDir(err)
	}
	defer gc.Close()
	dirs, err := owners(stateDir)
	if err != nil {
		return nil, nil, err
	}
	living = map[string]bool{}
	for _, dir := range dirs {
		o, err := claim(dir)
		if err != nil {
			return dead, living, err
		}
		if o != nil {
			dead = append(dead, o)
			continue
		}
		records, err := journal{filepath.Join(dir, boxesDirName)}.read()
		if err != nil {
			return dead, living, err
		}
		for _, r := range records {
			living[r.Handle.ID] = true
		}
	}
	return dead, living, nil
}

// addUnknown adds the boxes that exist and that no journal has.
func (r *Report) addUnknown(stateDir string, existing map[string][]string, living map[string]bool) {
	known := map[string]bool{}
	for _, b := range r.Boxes {
		known[b.ID] = true
	}
	for _, name := range slices.Sorted(maps.Keys(existing)) {
		for _, id := range existing[name] {
			switch {
			case known[id] || living[id]:
			case strings.HasPrefix(id, idPrefix(stateDir)):
				r.Boxes = append(r.Boxes, Leftover{ID: id, Driver: name})
			default:
				r.Foreign++
			}
		}
	}
}

// destroy removes the boxes, several at a time, and notes what failed.
func (r *Report) destroy(ctx context.Context, drivers []driver.Driver, log *slog.Logger) {
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	for i := range r.Boxes {
		g.Go(func() error {
			b := &r.Boxes[i]
			if err := b.destroy(ctx, drivers); err != nil {
				b.Error = err.Error()
				log.Warn("cannot remove a leftover box", "id", b.ID, "driver", b.Driver, "error", err)
				return nil
			}
			log.Info("removed a leftover box", "id", b.ID, "driver", b.Driver)
			return nil
		})
	}
	g.Wait()
}

// destroy asks the box's driver, or every one when a damaged record does not
// say which: only an id is needed, and destroying nothing is harmless.
func (b *Leftover) destroy(ctx context.Context, drivers []driver.Driver) error {
	asked := false
	for _, d := range drivers {
		if b.Driver != "" && d.Name() != b.Driver {
			continue
		}
		asked = true
		ctx, cancel := context.WithTimeout(ctx, destroyTimeout)
		err := d.Destroy(ctx, driver.Handle{Driver: d.Name(), ID: b.ID})
		cancel()
		if err != nil {
			return err
		}
	}
	if !asked {
		return api.Errorf(api.CodeUnavailable, "cannot destroy it: because this Brig has no driver %q", b.Driver)
	}
	if b.from == nil {
		return nil
	}
	return b.from.journal().remove(b.ID)
}

// idPrefix begins the ids of all boxes of one state directory. So a recovery
// knows what may be its own among boxes that it finds without a journal, and
// never takes away those of a Brig with another state directory.
func idPrefix(stateDir string) string {
	if abs, err := filepath.Abs(stateDir); err == nil {
		stateDir = abs
	}
	sum := sha256.Sum256([]byte(stateDir))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5])[:6]) + "-"
}
