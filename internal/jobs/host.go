package jobs

import (
	"context"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// tenantHost gives a batch sandboxes within its owner's quota, and in its owner's
// turn, whatever trust domains its items name.
type tenantHost struct {
	host.Host
	owner string
	hold  func(ctx context.Context, owner string, l api.Limits) (release func(), err error)
}

// Create implements host.Host.
func (h tenantHost) Create(ctx context.Context, spec api.SandboxSpec) (host.Sandbox, error) {
	release := func() {}
	if h.hold != nil {
		var err error
		if release, err = h.hold(ctx, h.owner, spec.Limits); err != nil {
			return nil, err
		}
	}
	spec.Trust = h.owner
	box, err := h.Host.Create(ctx, spec)
	if err != nil {
		release()
		return nil, err
	}
	return heldBox{box, release}, nil
}

// heldBox is in its owner's quota until it is destroyed.
type heldBox struct {
	host.Sandbox
	release func() // may be called more than once
}

// Destroy implements host.Sandbox.
func (b heldBox) Destroy(ctx context.Context) error {
	defer b.release()
	return b.Sandbox.Destroy(ctx)
}
