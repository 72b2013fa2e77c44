package netpolicy

import "net/netip"

// class is what an address is for; public ones have none.
type class struct {
	name string // for people: "private", "loopback"
	// bits is the length of the special range that the address is in: only an
	// entry at least as long names that range.
	bits int
	// never says that no entry opens it.
	never bool
}

func (c class) public() bool { return c.name == "" }

type special struct {
	prefix netip.Prefix
	name   string
	never  bool
}

// specials is searched from the top. Metadata services are wherever a cloud put
// theirs; nothing opens those, because the credentials behind them are the host's.
func specials() []special {
	never, open := true, false
	row := func(prefix, name string, never bool) special {
		return special{netip.MustParsePrefix(prefix), name, never}
	}
	return []special{
		row("169.254.0.0/16", "link-local", never),
		row("168.63.129.16/32", "metadata", never),   // Azure
		row("100.100.100.200/32", "metadata", never), // Alibaba
		row("192.0.0.192/32", "metadata", never),     // Oracle
		row("fd00:ec2::/32", "metadata", never),      // AWS
		row("fd20:ce::/32", "metadata", never),       // Google
		row("fe80::/10", "link-local", never),

		row("0.0.0.0/8", "unspecified", never),
		row("10.0.0.0/8", "private", open),
		row("100.64.0.0/10", "shared", open),  // carrier-grade NAT
		row("127.0.0.0/8", "loopback", never), // inside, that is the sandbox itself
		row("172.16.0.0/12", "private", open),
		row("192.0.0.0/24", "reserved", open),
		row("192.0.2.0/24", "documentation", open),
		row("192.88.99.0/24", "6to4", never),
		row("192.168.0.0/16", "private", open),
		row("198.18.0.0/15", "benchmark", open), // and the sandbox's own link
		row("198.51.100.0/24", "documentation", open),
		row("203.0.113.0/24", "documentation", open),
		row("224.0.0.0/4", "multicast", never),
		row("240.0.0.0/4", "reserved", never),

		row("::1/128", "loopback", never),
		row("fc00::/7", "private", open),
		row("fec0::/10", "site-local", never),
		row("ff00::/8", "multicast", never),
		row("2001:db8::/32", "documentation", open),
		row("2001::/23", "reserved", never), // Teredo and others that stand for another address
		row("2002::/16", "6to4", never),
		row("3fff::/20", "documentation", open),
		row("2000::/3", "", open),
		row("64:ff9b::/96", "", open), // NAT64: what is inside was looked at before
		row("::/0", "reserved", never),
	}
}

// classify says what an address is for. One that carries an IPv4 address inside
// is what that one is, if that is worse; and then no entry opens it.
func (p Policy) classify(a netip.Addr) class {
	if inner, ok := embedded(a); ok {
		if c := p.classify(inner); !c.public() {
			c.never = true
			return c
		}
	}
	if !a.IsValid() || a.Zone() != "" {
		return class{name: "reserved", never: true}
	}
	for _, s := range p.specials {
		if s.prefix.Contains(a) {
			return class{name: s.name, bits: s.prefix.Bits(), never: s.never}
		}
	}
	if a.Is4() {
		return class{}
	}
	return class{name: "reserved", never: true}
}

// Public tells whether an address is one of the internet's, and leads to none that
// is private or special.
func Public(a netip.Addr) bool { return Policy{specials: specials()}.classify(a.Unmap()).public() }

// embedded finds the IPv4 address that an IPv6 address leads to: NAT64, 6to4,
// IPv4-compatible and ISATAP. (IPv4-mapped ones are IPv4 already.)
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return netip.Addr{}, false
	}
	b := a.As16()
	at := -1
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		at = 2
	case b[0] == 0x00 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b:
		at = 12
	case [12]byte(b[:12]) == [12]byte{}:
		at = 12
	case (b[8] == 0x00 || b[8] == 0x02) && b[9] == 0x00 && b[10] == 0x5e && b[11] == 0xfe:
		at = 12
	}
	if at < 0 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(b[at : at+4])), true
}
