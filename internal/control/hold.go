package control

import (
	"context"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// Hold counts a sandbox that is none of the Service's, an item's of a batch, against
// owner's quota until release, and waits until there is room. CodeExhausted when
// there never can be, or ctx ends.
func (s *Service) Hold(ctx context.Context, owner string, l api.Limits) (release func(), err error) {
	return s.quotas.take(ctx, owner, host.MemoryHeld(l))
}
