package fake

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// handleVersion is the version of this driver's handles.
const handleVersion = 1

// Options shape a Driver. The zero value is a driver that works.
type Options struct {
	// Name is the driver's name; default "fake".
	Name string
	// Rung is the boundary that the driver claims; default process. A test of
	// how rungs are chosen lets it claim another.
	Rung api.Rung
	// Unavailable, when set, is why this host cannot run the driver: Probe says
	// so and Create fails with CodeUnavailable.
	Unavailable string
	// Fault chooses the fault of each box; n counts Creates from 1. Nil is none.
	Fault func(n int, spec driver.BoxSpec) Fault
}

// Driver is the fake driver. Its boxes live in its memory and nowhere else.
type Driver struct {
	opts Options

	mu      sync.Mutex // guards what follows
	boxes   map[string]*Box
	creates int
}

var (
	_ driver.Driver        = (*Driver)(nil)
	_ driver.SnapshotKeyer = (*Driver)(nil)
)

// New makes a driver.
func New(opts Options) *Driver {
	if opts.Name == "" {
		opts.Name = "fake"
	}
	if opts.Rung == "" {
		opts.Rung = api.RungProcess
	}
	return &Driver{opts: opts, boxes: map[string]*Box{}}
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return d.opts.Name }

// Rung implements driver.Driver.
func (d *Driver) Rung() api.Rung { return d.opts.Rung }

// SnapshotKey implements driver.SnapshotKeyer.
func (d *Driver) SnapshotKey() string { return "fake-1" }

// Probe implements driver.Driver.
func (d *Driver) Probe(ctx context.Context) driver.Probe {
	p := driver.Probe{Driver: d.Name(), Rung: d.Rung(), Snapshots: true}
	start := time.Now()
	if err := d.probe(ctx); err != nil {
		p.Reason, p.Fix = err.Error(), api.FixOf(err)
		return p
	}
	p.OK, p.Took = true, time.Since(start)
	return p
}

// Create implements driver.Driver.
func (d *Driver) Create(ctx context.Context, spec driver.BoxSpec) (driver.Box, error) {
	if d.opts.Unavailable != "" {
		return nil, api.Errorf(api.CodeUnavailable, "cannot make a box: because %s", d.opts.Unavailable).WithFix("choose another rung")
	}
	if spec.Link != nil {
		return nil, api.Errorf(api.CodeUnsupported, "cannot give a box a network: because this one is only pretended").WithFix("leave egress out")
	}
	fault := d.nextFault(spec)
	if err := wait(ctx, fault.Delay); err != nil {
		return nil, api.Errorf(api.CodeCancelled, "cannot make a box: %w", err)
	}
	if fault.Create != nil {
		return nil, fault.Create
	}
	state, err := loadState(spec)
	if err != nil {
		return nil, err
	}
	b, err := d.add(spec, fault, state)
	if err != nil {
		return nil, err
	}
	b.start()
	return b, nil
}

func (d *Driver) nextFault(spec driver.BoxSpec) Fault {
	d.mu.Lock()
	d.creates++
	n := d.creates
	d.mu.Unlock()
	if d.opts.Fault == nil {
		return Fault{}
	}
	return d.opts.Fault(n, spec)
}

func (d *Driver) add(spec driver.BoxSpec, fault Fault, s *state) (*Box, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boxes[spec.ID] != nil {
		return nil, api.Errorf(api.CodeConflict, "cannot make box %s: because it exists", spec.ID).WithFix("destroy it first")
	}
	b := newBox(d, spec, fault, s)
	d.boxes[spec.ID] = b
	return b, nil
}

// Find implements driver.Driver: the boxes die with their maker.
func (d *Driver) Find(context.Context, driver.Handle) (driver.Box, error) {
	return nil, api.Errorf(api.CodeUnsupported, "cannot take up a box: because fake boxes die with the process that made them").WithFix("make a new box")
}

// Destroy implements driver.Driver.
func (d *Driver) Destroy(ctx context.Context, h driver.Handle) error {
	d.mu.Lock()
	b := d.boxes[h.ID]
	d.mu.Unlock()
	if b == nil {
		return nil
	}
	return b.Destroy(ctx)
}

func (d *Driver) forget(b *Box) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boxes[b.spec.ID] == b {
		delete(d.boxes, b.spec.ID)
	}
}

// Leftovers implements driver.Driver.
func (d *Driver) Leftovers(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := make([]string, 0, len(d.boxes))
	for id := range d.boxes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// Creates is how many boxes were asked for so far.
func (d *Driver) Creates() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.creates
}

// Close implements driver.Driver.
func (d *Driver) Close() error { return nil }

// wait sleeps for dur or until ctx ends, and tells of an ended ctx also when
// dur is 0.
func wait(ctx context.Context, dur time.Duration) error {
	if dur > 0 {
		t := time.NewTimer(dur)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
