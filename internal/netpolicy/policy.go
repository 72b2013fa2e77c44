// Package netpolicy decides what a sandbox may reach. It is pure: it resolves
// nothing and dials nothing. internal/egress asks it about every name and every
// connection.
//
// What is private to the host's surroundings (private and shared ranges, the
// host's own addresses, …) is only reachable if an entry names it as an address; a
// name never leads there by itself, and neither does mode open. Metadata,
// link-local and loopback addresses are never reachable.
package netpolicy

import (
	"net/netip"
	"slices"

	"github.com/brigdev/brig/api"
)

const (
	maxEntries   = 256
	maxBytes     = int64(1) << 50
	maxConns     = 4096
	defaultBytes = int64(10) << 30
	defaultConns = 128
)

// Policy is a checked api.Egress. The zero Policy allows nothing.
type Policy struct {
	// MaxBytes is the budget of bytes in both directions, MaxConns that of
	// connections at a time. Parse fills their defaults.
	MaxBytes int64
	MaxConns int

	mode     string
	names    []nameRule
	nets     []netRule
	denied   []netip.Prefix // of what mode open allows
	specials []special
}

// Parse checks what a user asked for; CodeInvalid says what is wrong with it.
func Parse(e api.Egress) (Policy, error) {
	p := Policy{MaxBytes: e.MaxBytes, MaxConns: e.MaxConns, mode: e.Mode, specials: specials()}
	if p.mode == "" {
		p.mode = api.EgressNone
		if len(e.Allow) > 0 {
			p.mode = api.EgressAllow
		}
	}
	switch {
	case p.mode != api.EgressNone && p.mode != api.EgressAllow && p.mode != api.EgressOpen:
		return Policy{}, api.Errorf(api.CodeInvalid, "cannot use the egress mode %.20q: because there is no such mode", e.Mode).
			WithFix("use none, allow or open")
	case p.mode == api.EgressNone && len(e.Allow) > 0:
		return Policy{}, api.Errorf(api.CodeInvalid, "cannot use the egress list: because the mode is none").WithFix("use mode allow")
	case len(e.Allow) > maxEntries:
		return Policy{}, api.Errorf(api.CodeInvalid, "cannot use the egress list: because it has more than %d entries", maxEntries).
			WithFix("use a wildcard or a range")
	case e.MaxBytes < 0 || e.MaxBytes > maxBytes || e.MaxConns < 0 || e.MaxConns > maxConns:
		return Policy{}, api.Errorf(api.CodeInvalid, "cannot use the egress budget: because it is not 0 to %s and 0 to %d connections", api.FormatBytes(maxBytes), maxConns).
			WithFix("leave it out for 10 GiB and 128 connections")
	}
	for _, entry := range e.Allow {
		if err := p.add(entry); err != nil {
			return Policy{}, err
		}
	}
	if err := p.deny(e.Deny); err != nil {
		return Policy{}, err
	}
	if p.MaxBytes == 0 {
		p.MaxBytes = defaultBytes
	}
	if p.MaxConns == 0 {
		p.MaxConns = defaultConns
	}
	return p, nil
}

// Target is where a connection wants to go.
type Target struct {
	Addr netip.AddrPort
	// Names are the names, as from ParseName, that were resolved to this address.
	Names []string
	// Own says that it is an address of this host.
	Own bool
}

// Decision is the answer to one question.
type Decision struct {
	Allowed bool
	Rule    string // the entry that allowed it, as it was written, or "open"
	Reason  string // why it was refused, in a few words
	// Names are the names that the connection may be for, when it was allowed by
	// name; what it says of itself has to be one of them.
	Names []string
}

// Lookup decides whether a name, as from ParseName, may be resolved.
func (p Policy) Lookup(name string) Decision {
	if p.mode == api.EgressOpen {
		return Decision{Allowed: true, Rule: p.mode}
	}
	for _, r := range p.names {
		if r.matches(name) {
			return Decision{Allowed: true, Rule: r.text}
		}
	}
	return Decision{Reason: "the name is not on the list"}
}

// Answer decides whether an address that an allowed name was resolved to may be
// told to the sandbox: whether a connection to it could be allowed at all.
func (p Policy) Answer(addr netip.Addr, own bool) Decision {
	addr = addr.Unmap()
	c := p.classify(addr)
	if c.public() && !own {
		return Decision{Allowed: true}
	}
	for _, r := range p.nets {
		if !c.never && r.prefix.Contains(addr) && r.names(c, own) {
			return Decision{Allowed: true, Rule: r.text}
		}
	}
	if c.public() {
		return Decision{Reason: refusedOwn}
	}
	return Decision{Reason: refusal(c)}
}

const refusedOwn = "the address is this host's"

// Connect decides about one TCP connection. It is asked again about the address
// that is dialled, whatever a name was resolved to before.
func (p Policy) Connect(t Target) Decision {
	addr, port := t.Addr.Addr().Unmap(), t.Addr.Port()
	c := p.classify(addr)
	if c.never || port == 0 || p.mode == "" || p.mode == api.EgressNone {
		return Decision{Reason: refusal(c)}
	}
	for _, r := range p.nets {
		if r.prefix.Contains(addr) && (r.port == 0 || r.port == port) && r.names(c, t.Own) {
			return Decision{Allowed: true, Rule: r.text}
		}
	}
	switch {
	case !c.public():
		return Decision{Reason: refusal(c)}
	case t.Own:
		return Decision{Reason: refusedOwn}
	case slices.ContainsFunc(p.denied, func(r netip.Prefix) bool { return r.Contains(addr) }):
		return Decision{Reason: "the address is on the list of those denied"}
	case p.mode == api.EgressOpen:
		return Decision{Allowed: true, Rule: p.mode}
	}
	return p.byName(t.Names, port)
}

// names tells whether a range that contains an address means that address: one
// that also holds public addresses, such as 0.0.0.0/0, does not mean the private
// ones in it, and this host has to be named by its very address.
func (r netRule) names(c class, own bool) bool {
	if own {
		return r.prefix.IsSingleIP()
	}
	return c.public() || r.prefix.Bits() >= c.bits
}

func (p Policy) byName(names []string, port uint16) Decision {
	d := Decision{Reason: "the address is not on the list"}
	for _, name := range names {
		for _, r := range p.names {
			if !r.matches(name) {
				continue
			}
			if !r.allowsPort(port) {
				d.Reason = "the list does not allow this port of the name"
				continue
			}
			d.Allowed, d.Rule = true, r.text
			d.Names = append(d.Names, name)
			break
		}
	}
	if d.Allowed {
		d.Reason = ""
	}
	return d
}

func refusal(c class) string {
	if c.public() {
		return "nothing is allowed"
	}
	return "the address is not public: " + c.name
}
