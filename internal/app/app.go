// Package app builds a working Brig: the only place that names concrete parts.
// Commands and end-to-end tests build the same value.
package app

import (
	"context"
	"errors"
	"time"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/host"
)

// closeTimeout bounds the destruction of what still runs when Brig ends.
const closeTimeout = 30 * time.Second

// App is a working Brig. Close it.
type App struct {
	Host    host.Host
	Drivers []driver.Driver
}

// Close destroys every sandbox of this process and stops the drivers.
func (a *App) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(a.Host.Close(ctx), CloseDrivers(a.Drivers))
}

// CloseDrivers stops drivers whose boxes are gone.
func CloseDrivers(drivers []driver.Driver) error {
	var errs []error
	for _, d := range drivers {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}
