package template

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// destroyTimeout is how long the end of a box may take.
const destroyTimeout = 30 * time.Second

// withBox makes a box, journalled before it exists, greets its guest, and takes
// all of it away when use has returned. prefix begins its id.
func (c *Catalog) withBox(ctx context.Context, d driver.Driver, spec driver.BoxSpec, prefix string, use func(box driver.Box, client *guest.Client) error) (err error) {
	h := driver.Handle{Driver: d.Name(), ID: boxID(prefix)}
	done, err := c.opts.Journal(h)
	if err != nil {
		return err
	}
	defer done()
	spec.ID, spec.Hostname, spec.Agent, spec.Attached = h.ID, "brig", []string{agentPath}, true
	box, err := d.Create(ctx, spec)
	if err != nil {
		return err
	}
	defer func() {
		// The caller's context may be the reason for going away.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
		defer cancel()
		if err2 := box.Destroy(end); err == nil {
			err = err2
		}
	}()
	var seed [64]byte
	rand.Read(seed[:])
	client, err := guest.Start(ctx, box.Channel(), seed, time.Now(), guest.Identity{})
	if err != nil {
		return err
	}
	// Closed only after use: the agent would take it for the end.
	defer client.Close()
	return use(box, client)
}

func boxID(prefix string) string {
	var b [8]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}
