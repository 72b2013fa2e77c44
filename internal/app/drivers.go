package app

import (
	"errors"
	"path/filepath"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/gvisor"
	"github.com/brigdev/brig/internal/driver/process"
)

// NewDrivers makes every driver that there is. The list is explicit, and its
// order is the order of preference within a rung. Close them with CloseDrivers.
func NewDrivers(o Options) ([]driver.Driver, error) {
	if err := prepareDir("state", o.StateDir); err != nil {
		return nil, err
	}
	var drivers []driver.Driver
	for _, make := range []func(Options) (driver.Driver, error){newGVisor, newProcess} {
		d, err := make(o)
		if err != nil {
			return nil, errors.Join(err, CloseDrivers(drivers))
		}
		drivers = append(drivers, d)
	}
	return drivers, nil
}

func newGVisor(o Options) (driver.Driver, error) {
	return gvisor.New(gvisor.Config{StateDir: o.StateDir, ScratchDir: filepath.Join(o.DataDir, "scratch"), Log: o.Log})
}

func newProcess(o Options) (driver.Driver, error) {
	return process.New(process.Config{StateDir: o.StateDir, Log: o.Log})
}
