package fake

import (
	"context"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// probe makes a box, lets its guest answer and destroys it.
func (d *Driver) probe(ctx context.Context) error {
	b, err := d.Create(ctx, driver.BoxSpec{ID: "fake-probe-" + time.Now().Format("150405-000000000"), Limits: api.DefaultLimits()})
	if err != nil {
		return err
	}
	c, err := guest.Start(ctx, b.Channel(), [64]byte{}, time.Now(), guest.Identity{})
	if err == nil {
		err = c.Close()
	}
	if derr := b.Destroy(ctx); err == nil {
		err = derr
	}
	return err
}
