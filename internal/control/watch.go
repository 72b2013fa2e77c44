package control

import (
	"context"

	"github.com/brigdev/brig/api"
)

// Watch tells what changes in a directory; the sandbox is in use meanwhile. See
// host.Session.Watch.
func (sb *Sandbox) Watch(ctx context.Context, path string, recursive bool, ready func(), give func(api.FileChange) error) error {
	box, done, err := sb.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	return sb.explain(box, box.Watch(ctx, path, recursive, ready, give))
}
