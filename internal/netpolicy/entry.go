package netpolicy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
)

// nameRule allows a name, or all below it.
type nameRule struct {
	text     string // as the user wrote it
	name     string
	wildcard bool
	port     uint16 // 0: 80 and 443
}

func (r nameRule) matches(name string) bool {
	if !r.wildcard {
		return name == r.name
	}
	return strings.HasSuffix(name, "."+r.name)
}

func (r nameRule) allowsPort(port uint16) bool {
	if r.port == 0 {
		return port == 80 || port == 443
	}
	return port == r.port
}

// netRule allows a range of addresses.
type netRule struct {
	text   string
	prefix netip.Prefix
	port   uint16 // 0: every port
}

// add reads one entry of the list.
func (p *Policy) add(entry string) error {
	host, port, err := splitPort(entry)
	if err != nil {
		return badEntry(entry, err)
	}
	if prefix, ok, err := parsePrefix(host); ok {
		if err == nil {
			err = p.checkPrefix(prefix)
		}
		if err != nil {
			return badEntry(entry, err)
		}
		p.nets = append(p.nets, netRule{text: entry, prefix: prefix, port: port})
		return nil
	}
	if p.mode == api.EgressOpen {
		return api.Errorf(api.CodeInvalid, "cannot allow %.80q: because mode open allows every name already", entry).
			WithFix("leave it out, or use mode allow")
	}
	if host == "*" {
		return api.Errorf(api.CodeInvalid, "cannot allow %.80q: because that is every name", entry).WithFix("use mode open if that is meant")
	}
	below, wildcard := strings.CutPrefix(host, "*.")
	name, err := ParseName(below)
	if err == nil && wildcard && !strings.Contains(name, ".") {
		err = errors.New("a wildcard needs at least two parts after its dot")
	}
	if err != nil {
		return badEntry(entry, err)
	}
	p.names = append(p.names, nameRule{text: entry, name: name, wildcard: wildcard, port: port})
	return nil
}

// deny reads what mode open shall not allow: addresses and ranges.
func (p *Policy) deny(entries []string) error {
	switch {
	case len(entries) > 0 && p.mode != api.EgressOpen:
		return api.Errorf(api.CodeInvalid, "cannot deny addresses: because only the list is allowed anyway").WithFix("use mode open, or leave deny out")
	case len(entries) > maxEntries:
		return api.Errorf(api.CodeInvalid, "cannot use the egress list: because it has more than %d entries", maxEntries).WithFix("use ranges")
	}
	for _, entry := range entries {
		prefix, ok, err := parsePrefix(entry)
		if !ok || err != nil {
			return api.Errorf(api.CodeInvalid, "cannot deny %.80q: because it is no address and no range", entry).WithFix("write it like 192.0.2.0/24")
		}
		p.denied = append(p.denied, prefix)
	}
	return nil
}

func badEntry(entry string, err error) error {
	return api.Errorf(api.CodeInvalid, "cannot allow %.80q: because %w", entry, err).
		WithFix("write a name (packages.example.com, *.example.org), an address or a range (10.0.0.0/8), each with or without :PORT")
}

// splitPort takes HOST, HOST:PORT, [V6] and [V6]:PORT apart. Port 0 is none.
func splitPort(s string) (host string, port uint16, err error) {
	if len(s) > maxName+10 {
		return "", 0, errors.New("it is too long")
	}
	host, text, found := s, "", false
	if inner, ok := strings.CutPrefix(s, "["); ok {
		host, text, ok = strings.Cut(inner, "]")
		if !ok || !strings.Contains(host, ":") {
			return "", 0, errors.New("brackets are for IPv6 addresses")
		}
		if text != "" {
			if text, found = strings.CutPrefix(text, ":"); !found {
				return "", 0, errors.New("only :PORT comes after the bracket")
			}
		}
	} else if strings.Count(s, ":") == 1 {
		host, text, found = strings.Cut(s, ":")
	}
	if !found {
		return host, 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || text[0] == '+' {
		return "", 0, fmt.Errorf("%.20q is not a port from 1 to 65535", text)
	}
	return host, uint16(n), nil
}

// parsePrefix reads an address or a range; ok says that it is meant as one.
func parsePrefix(s string) (p netip.Prefix, ok bool, err error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err == nil && p != p.Masked() {
			err = fmt.Errorf("%s has bits beyond its length; the range is %s", p, p.Masked())
		}
		return p, true, err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return p, strings.Contains(s, ":"), err
	}
	if a.Zone() != "" {
		return p, true, errors.New("an address with a zone is local to a link")
	}
	return netip.PrefixFrom(a, a.BitLen()), true, nil
}

// checkPrefix refuses an entry that could never allow anything.
func (p *Policy) checkPrefix(r netip.Prefix) error {
	if r.Addr().Is4In6() {
		return fmt.Errorf("it stands for an IPv4 address: write that")
	}
	if c := p.classify(r.Addr()); c.never && r.Bits() >= c.bits {
		return fmt.Errorf("no sandbox may reach such an address (%s)", c.name)
	}
	return nil
}
