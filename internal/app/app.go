// Package app builds a working Brig: the only place that names concrete parts.
// Commands and end-to-end tests build the same value.
package app

import (
	"context"
	"errors"
	"time"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/interpreter"
	"github.com/brigdev/brig/internal/template"
)

// closeTimeout bounds the destruction of what still runs when Brig ends.
const closeTimeout = 30 * time.Second

// App is a working Brig. Close it.
type App struct {
	Host      host.Host
	Templates *template.Catalog
	Drivers   []driver.Driver
}

// Open builds a Brig with the real drivers.
func Open(ctx context.Context, o Options) (*App, error) {
	drivers, err := NewDrivers(o)
	if err != nil {
		return nil, err
	}
	return OpenWith(ctx, o, drivers)
}

// OpenWith builds a Brig over drivers, which it owns from here on: they are
// closed when it fails, and by Close.
func OpenWith(ctx context.Context, o Options, drivers []driver.Driver) (*App, error) {
	a := &App{Drivers: drivers}
	if err := a.open(ctx, o); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context, o Options) (err error) {
	if err := prepareDirs(o); err != nil {
		return err
	}
	var manager *host.Manager // the boxes that a bake makes are journalled like any other
	journal := func(h driver.Handle) (func(), error) { return manager.JournalBox(h) }
	if a.Templates, err = template.Open(ctx, o.DataDir, template.Options{Log: o.Log, Journal: journal, Kernel: interpreter.Bake, Egress: o.Egress, InUse: ImagesInUse(o)}); err != nil {
		return err
	}
	manager, err = host.NewManager(host.Config{
		Drivers: a.Drivers, Templates: a.Templates, StateDir: o.StateDir,
		AllowUnsafe: o.Unsafe, PoolSize: o.PoolSize, Egress: o.Egress, Log: o.Log,
	})
	if err != nil {
		return err
	}
	a.Host = manager
	return nil
}

// Close destroys every sandbox of this process and stops the drivers. It also
// takes back a half-made App.
func (a *App) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	if a.Host != nil {
		errs = append(errs, a.Host.Close(ctx))
	}
	if a.Templates != nil {
		errs = append(errs, a.Templates.Close())
	}
	return errors.Join(append(errs, CloseDrivers(a.Drivers))...)
}

// CloseDrivers stops drivers whose boxes are gone.
func CloseDrivers(drivers []driver.Driver) error {
	var errs []error
	for _, d := range drivers {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}
