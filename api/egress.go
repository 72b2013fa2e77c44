package api

import (
	"net/netip"
	"time"
)

// The modes of Egress.
const (
	EgressNone  = "none"  // no network device but loopback: the default
	EgressAllow = "allow" // only what the list names
	EgressOpen  = "open"  // every public address
)

// Egress says what the programs of a sandbox may reach. A nil Egress is none.
// Incoming connections never reach a sandbox this way. docs/egress.md has the
// rules in full.
type Egress struct {
	// Mode is none, allow or open; "" means allow when Allow has entries, else none.
	Mode string `json:"mode,omitempty"`
	// Allow lists names ("packages.example.com", "*.example.org", "db.example.org:5432") and
	// addresses ("192.0.2.7:443", "10.0.0.0/8"). A name without a port means 80 and
	// 443, an address without one every port. An empty list allows nothing. With
	// mode open it holds addresses only: private ones to be opened, too.
	Allow []string `json:"allow,omitempty"`
	// Deny lists addresses and ranges that mode open does not reach, unless Allow has
	// them.
	Deny []string `json:"deny,omitempty"`
	// MaxBytes is how much may be sent and received in all; 0 = 10 GiB.
	MaxBytes int64 `json:"max_bytes,omitempty"`
	// MaxConns is how many connections may be open at a time; 0 = 128.
	MaxConns int `json:"max_conns,omitempty"`
}

// Enabled tells whether the sandbox gets a network link at all.
func (e *Egress) Enabled() bool {
	return e != nil && e.Mode != EgressNone && (e.Mode != "" || len(e.Allow) > 0)
}

// The kinds of EgressEvent.
const (
	EgressLookup  = "lookup"  // a name was asked for
	EgressConnect = "connect" // a connection was asked for
	EgressClose   = "close"   // an allowed connection has ended
	EgressPacket  = "packet"  // something else than TCP was sent
)

// EgressEvent is one decision about a sandbox's traffic, for audits. Names in it
// are what the program asked for, in checked spelling.
type EgressEvent struct {
	Time    time.Time      `json:"time"`
	Sandbox string         `json:"sandbox,omitempty"`
	Kind    string         `json:"kind"`
	Allowed bool           `json:"allowed"`
	Name    string         `json:"name,omitempty"`
	Target  netip.AddrPort `json:"target,omitzero"`
	Rule    string         `json:"rule,omitempty"`   // the entry that allowed it, or the mode
	Reason  string         `json:"reason,omitempty"` // why it was refused, or cut
	Sent    int64          `json:"sent,omitempty"`   // bytes, of a close
	Got     int64          `json:"received,omitempty"`
	// Suppressed is how many refusals before this one were not reported, because
	// there were too many.
	Suppressed int64 `json:"suppressed,omitempty"`
}
