package host

import (
	"context"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/egress"
	"github.com/brigdev/brig/internal/netpolicy"
)

// policyOf checks what a sandbox may reach; nil is nothing at all.
func policyOf(e *api.Egress) (*netpolicy.Policy, error) {
	if e == nil {
		return nil, nil
	}
	p, err := netpolicy.Parse(*e)
	if err != nil || !e.Enabled() {
		return nil, err
	}
	return &p, nil
}

// openGateway makes the network of a sandbox that has one. The link goes to the
// driver and is then to be closed; the gateway lasts until the sandbox's end.
func (s *sandbox) openGateway(p *netpolicy.Policy) (*driver.Link, error) {
	if p == nil {
		return nil, nil
	}
	o := s.m.cfg.Egress
	o.Log = s.m.log.With("sandbox", s.id)
	if audit := o.Audit; audit != nil {
		o.Audit = func(e api.EgressEvent) {
			e.Sandbox = s.id
			audit(e)
		}
	}
	gateway, link, err := egress.Open(*p, o)
	s.gateway = gateway
	return link, err
}

// SetEgress replaces what the sandbox may reach. One that was made without a network
// has no way to get one: CodeConflict.
func (s *session) SetEgress(e *api.Egress) error {
	if e == nil || !e.Enabled() {
		e = &api.Egress{Mode: api.EgressAllow} // nothing
	}
	p, err := netpolicy.Parse(*e)
	if err != nil {
		return err
	}
	if s.gateway != nil {
		s.gateway.SetPolicy(p)
		return nil
	}
	if e.Mode != api.EgressAllow || len(e.Allow) > 0 {
		return api.Errorf(api.CodeConflict, "cannot change what sandbox %s may reach: because it was made without a network", s.id).
			WithFix("make a new one with a network")
	}
	return nil
}

// closeGateway cuts the sandbox off. It may be called without a gateway.
func (s *sandbox) closeGateway() {
	if s.gateway != nil {
		s.gateway.Close()
	}
}

// nameServer tells a sandbox with a network where names are resolved. Whatever
// the template has in that place, a link to somewhere among it, gives way.
func (s *sandbox) nameServer(ctx context.Context) error {
	if s.gateway == nil {
		return nil
	}
	put := func() error {
		return s.client.Put(ctx, egress.ResolvConfPath, 0o644, strings.NewReader(egress.ResolvConf))
	}
	err := put()
	if err != nil && s.client.Err() == nil {
		if err = s.client.Remove(ctx, egress.ResolvConfPath, false); err == nil {
			err = put()
		}
	}
	if err != nil {
		return api.Errorf(api.CodeInternal, "cannot make the sandbox: because its guest does not take the name server: %w", err)
	}
	return nil
}
