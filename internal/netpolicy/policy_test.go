package netpolicy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

func parse(t testing.TB, e api.Egress) Policy {
	t.Helper()
	p, err := Parse(e)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func allow(entries ...string) api.Egress { return api.Egress{Mode: api.EgressAllow, Allow: entries} }

func TestParse(t *testing.T) {
	long := make([]string, maxEntries+1)
	for i := range long {
		long[i] = "example.org"
	}
	for _, tt := range []struct {
		egress api.Egress
		want   string // in the error; "" is none
	}{
		{api.Egress{}, ""},
		{api.Egress{Mode: "allow"}, ""},
		{api.Egress{Mode: "open", Allow: []string{"10.0.0.0/8"}}, ""},
		{api.Egress{Allow: []string{"packages.example.com", "*.example.org:443", "192.0.2.7", "192.0.2.0/24:53", "fd12::/16", "[fd12::1]:80"}}, ""},
		{api.Egress{Mode: "all"}, "no such mode"},
		{api.Egress{Mode: "none", Allow: []string{"packages.example.com"}}, "mode is none"},
		{api.Egress{Mode: "open", Allow: []string{"packages.example.com"}}, "every name already"},
		{api.Egress{Mode: "open", Deny: []string{"192.0.2.0/24", "198.51.100.7", "2001:db8::/32"}}, ""},
		{api.Egress{Mode: "open", Deny: []string{"example.org"}}, "no address"},
		{api.Egress{Mode: "open", Deny: []string{"192.0.2.1/24"}}, "no address"},
		{api.Egress{Mode: "allow", Deny: []string{"192.0.2.0/24"}}, "only the list"},
		{api.Egress{MaxBytes: -1}, "budget"},
		{api.Egress{MaxConns: maxConns + 1}, "budget"},
		{allow(long...), "more than"},
		{allow(""), "characters"},
		{allow("*"), "every name"},
		{allow("*.org"), "two parts"},
		{allow("a.*.org"), "letters"},
		{allow("https://packages.example.com/"), "cannot allow"},
		{allow("user@packages.example.com"), "letters"},
		{allow("packages.example.com:0"), "not a port"},
		{allow("packages.example.com:+80"), "not a port"},
		{allow("packages.example.com:65536"), "not a port"},
		{allow("packages.example.com:"), "not a port"},
		{allow("packages.example.com\x00.evil.example"), "letters"},
		{allow("pÿpi.org"), "letters"},
		{allow("127.1"), "number"},
		{allow("2130706433"), "number"},
		{allow("0x7f000001"), "number"},
		{allow("0177.0.0.1"), "number"},
		{allow("10.0.0.1/8"), "beyond its length"},
		{allow("10.0.0.0/33"), "cannot allow"},
		{allow("fe80::1%eth0"), "zone"},
		{allow("::ffff:10.0.0.1"), "IPv4 address"},
		{allow("169.254.169.254"), "no sandbox"},
		{allow("169.254.169.254/32:80"), "no sandbox"},
		{allow("fd00:ec2::254"), "no sandbox"},
		{allow("64:ff9b::169.254.169.254"), "no sandbox"},
		{allow("127.0.0.1:8080"), "no sandbox"},
		{allow("[10.0.0.1]:80"), "brackets"},
		{allow("[::1"), "brackets"},
		{allow("[fd12::1]x"), "bracket"},
	} {
		_, err := Parse(tt.egress)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.egress, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == ""):
			t.Errorf("%+v: want an error with a fix that says %q, got %v", tt.egress, tt.want, err)
		}
	}
}

// TestSpecialAddresses holds that what is not public is refused in every notation
// unless an entry names it, and metadata always.
func TestSpecialAddresses(t *testing.T) {
	const opens, never = true, false
	everything := parse(t, allow("0.0.0.0/0", "::/0"))
	for addr, named := range map[string]bool{
		"10.1.2.3": opens, "172.31.255.255": opens, "192.168.0.1": opens, "100.64.0.1": opens, "192.0.2.2": opens,
		"198.51.100.1": opens, "203.0.113.1": opens, "198.18.0.1": opens, "fd12::1": opens, "2001:db8::1": opens, "::ffff:10.1.2.3": opens,

		"0.0.0.0": never, "127.0.0.1": never, "127.255.255.254": never, "224.0.0.1": never, "239.255.255.250": never,
		"240.0.0.1": never, "255.255.255.255": never, "192.88.99.1": never,
		"::": never, "::1": never, "fe80::1": never, "fec0::1": never, "ff02::1": never, "4000::1": never,
		"169.254.0.1": never, "169.254.169.254": never, "169.254.170.2": never, "100.100.100.200": never,
		"168.63.129.16": never, "192.0.0.192": never, "fd00:ec2::254": never, "fd20:ce::254": never,
		"::ffff:169.254.169.254": never, "::ffff:a9fe:a9fe": never, "::169.254.169.254": never, "64:ff9b::a9fe:a9fe": never,
		"64:ff9b:1::a9fe:a9fe": never, "2002:a9fe:a9fe::1": never, "2002:7f00:1::": never, "2001:0:a9fe:a9fe::": never,
		"fe80::5efe:a9fe:a9fe": never, "2606:4700::5efe:10.0.0.1": never, "::127.0.0.1": never, "64:ff9b::10.0.0.1": never,
		"2002:5db8:d822::1": never,
	} {
		a := netip.MustParseAddr(addr)
		target := Target{Addr: netip.AddrPortFrom(a, 80), Names: []string{"web.example.org"}}
		for what, e := range map[string]api.Egress{
			"by name": allow("*.example.org"), "open": {Mode: api.EgressOpen},
		} {
			p := parse(t, e)
			if d := p.Connect(target); d.Allowed || d.Reason == "" {
				t.Errorf("%s: %s: %+v", what, addr, d)
			}
			if d := p.Answer(a, false); d.Allowed {
				t.Errorf("%s: %s may be an answer", what, addr)
			}
		}
		if everything.Connect(target).Allowed {
			t.Errorf("0.0.0.0/0 opens %s", addr)
		}
		a = a.Unmap()
		p, err := Parse(allow(a.String()))
		if got := err == nil && p.Connect(target).Allowed && p.Answer(a, false).Allowed; got != named {
			t.Errorf("an entry for %s: allowed %t, want %t (%v)", addr, got, named, err)
		}
	}
	for _, addr := range []string{"93.184.216.34", "8.8.8.8", "2606:4700::1", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34"} {
		a := netip.MustParseAddr(addr)
		open := parse(t, api.Egress{Mode: api.EgressOpen})
		if d := open.Connect(Target{Addr: netip.AddrPortFrom(a, 80)}); !d.Allowed {
			t.Errorf("open refuses %s: %+v", addr, d)
		}
		if d := open.Connect(Target{Addr: netip.AddrPortFrom(a, 80), Own: true}); d.Allowed {
			t.Errorf("open allows this host's %s", addr)
		}
		if d := everything.Connect(Target{Addr: netip.AddrPortFrom(a, 80)}); !d.Allowed {
			t.Errorf("0.0.0.0/0 refuses %s: %+v", addr, d)
		}
	}
}

func TestConnect(t *testing.T) {
	p := parse(t, allow("packages.example.com", "*.example.org:443", "db.example.org:5432", "10.0.0.0/24:5432", "192.0.2.2"))
	for _, tt := range []struct {
		to    string
		names string
		own   bool
		want  string // the rule; "" is a refusal
	}{
		{"93.184.216.34:443", "packages.example.com", false, "packages.example.com"},
		{"93.184.216.34:80", "packages.example.com", false, "packages.example.com"},
		{"93.184.216.34:22", "packages.example.com", false, ""},
		{"93.184.216.34:443", "", false, ""},
		{"93.184.216.34:443", "evil.example", false, ""},
		{"93.184.216.34:443", "evil.example packages.example.com", false, "packages.example.com"},
		{"93.184.216.34:443", "a.example.org", false, "*.example.org:443"},
		{"93.184.216.34:443", "a.b.example.org", false, "*.example.org:443"},
		{"93.184.216.34:80", "a.example.org", false, ""},
		{"93.184.216.34:443", "example.org", false, ""},
		{"93.184.216.34:443", "evilexample.org", false, ""},
		{"93.184.216.34:5432", "db.example.org", false, "db.example.org:5432"},
		{"93.184.216.34:443", "packages.example.com", true, ""},
		{"10.0.0.7:5432", "", false, "10.0.0.0/24:5432"},
		{"10.0.0.7:5432", "", true, ""}, // this host is only named by its very address
		{"192.0.2.2:1", "", true, "192.0.2.2"},
		{"10.0.0.7:5433", "packages.example.com", false, ""},
		{"10.0.1.7:5432", "db.example.org", false, ""},
		{"192.0.2.2:0", "", false, ""},
	} {
		target := Target{Addr: netip.MustParseAddrPort(tt.to), Names: strings.Fields(tt.names), Own: tt.own}
		d := p.Connect(target)
		if d.Allowed != (tt.want != "") || d.Rule != tt.want || (d.Reason == "") != d.Allowed {
			t.Errorf("%s %q own=%t: %+v, want rule %q", tt.to, tt.names, tt.own, d, tt.want)
		}
	}
	shared := p.Connect(Target{Addr: netip.MustParseAddrPort("93.184.216.34:443"), Names: []string{"evil.example", "packages.example.com", "a.example.org"}})
	if got := strings.Join(shared.Names, " "); got != "packages.example.com a.example.org" {
		t.Errorf("a shared address is for %q", got)
	}
	most := parse(t, api.Egress{Mode: api.EgressOpen, Allow: []string{"93.184.216.35"}, Deny: []string{"93.184.216.0/24"}})
	for to, want := range map[string]bool{"93.184.216.34:1": false, "[::ffff:93.184.216.34]:1": false, "93.184.216.35:1": true, "93.184.217.1:1": true, "10.0.0.1:1": false} {
		if d := most.Connect(Target{Addr: netip.MustParseAddrPort(to)}); d.Allowed != want {
			t.Errorf("%s with a list of those denied: %+v", to, d)
		}
	}
	for _, none := range []Policy{{}, parse(t, api.Egress{}), parse(t, api.Egress{Mode: api.EgressAllow})} {
		if none.Connect(Target{Addr: netip.MustParseAddrPort("93.184.216.34:443"), Names: []string{"packages.example.com"}}).Allowed || none.Lookup("packages.example.com").Allowed {
			t.Errorf("%+v allows something", none)
		}
	}
}

// FuzzParseName holds that a name has one spelling, and that no other parser can
// take it for an address or cut it elsewhere.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"packages.example.com", "PyPI.org.", "a\x00.b", "127.1", "0x7f.1", "2130706433", "[::1]", "a..b", "-a.b", "xn--bcher-kva.example", "a.b:80", "a@b", "ⓔxample.org"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseName(s)
		if err != nil {
			return
		}
		if again, err := ParseName(name); again != name || err != nil {
			t.Errorf("%q became %q, and then %q, %v", s, name, again, err)
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || len(name) > maxName {
			t.Errorf("%q became %q", s, name)
		}
		if _, err := netip.ParseAddr(name); err == nil {
			t.Errorf("%q is an address", name)
		}
	})
}

// FuzzParse holds that no list opens metadata or loopback, and that mistakes are
// the user's.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"packages.example.com", "*.example.org:443", "0.0.0.0/0", "::/0", "169.254.0.0/15", "[fd12::/16]:80", "fe80::%1", "64:ff9b::/96", "1.2.3.4:5"} {
		f.Add(s, s)
	}
	forbidden := []netip.Addr{
		netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("::ffff:169.254.169.254"), netip.MustParseAddr("64:ff9b::a9fe:a9fe"),
		netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"),
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		p, err := Parse(allow(a, b))
		if err != nil {
			if api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
				t.Errorf("%q %q: %v", a, b, err)
			}
			return
		}
		for _, addr := range forbidden {
			for _, port := range []uint16{80, 443, 5} {
				if p.Connect(Target{Addr: netip.AddrPortFrom(addr, port), Names: []string{"packages.example.com"}}).Allowed {
					t.Errorf("%q %q opens %s", a, b, addr)
				}
			}
		}
	})
}

// FuzzAddress holds that mode open and names lead to public unicast addresses only.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:a00:1::", "2606:4700::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	open := parse(f, api.Egress{Mode: api.EgressOpen})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok || !open.Connect(Target{Addr: netip.AddrPortFrom(a, 80)}).Allowed {
			return
		}
		for _, x := range []netip.Addr{a, a.Unmap()} {
			if x.IsPrivate() || x.IsLoopback() || x.IsLinkLocalUnicast() || x.IsMulticast() || x.IsUnspecified() || !x.IsGlobalUnicast() {
				t.Errorf("%s is allowed", a)
			}
		}
		if inner, ok := embedded(a.Unmap()); ok && (inner.IsPrivate() || inner.IsLoopback() || inner.IsLinkLocalUnicast()) {
			t.Errorf("%s is allowed, which carries %s", a, inner)
		}
	})
}
