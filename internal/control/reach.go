package control

import (
	"context"

	"github.com/brigdev/brig/api"
)

// SetEgress replaces what the programs of a running sandbox may reach. Errors:
// CodeInvalid (there is no such policy), CodeConflict (it does not run, or was made
// without a network).
func (sb *Sandbox) SetEgress(ctx context.Context, e *api.Egress) error {
	release, err := sb.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	_, box, err := sb.living()
	if err != nil {
		return err
	}
	if box == nil {
		return sb.errAsleep()
	}
	if err := box.SetEgress(e); err != nil {
		return err
	}
	sb.event("network")
	return sb.change(func(r *record) { r.Egress = e })
}
