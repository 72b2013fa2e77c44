package egress

import (
	"testing"

	"github.com/brigdev/brig/internal/netpolicy"
)

// BenchmarkGateway is what a network costs a sandbox on the host.
func BenchmarkGateway(b *testing.B) {
	p, err := netpolicy.Parse(allow("packages.example.com"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		g, link, err := Open(p, Options{})
		if err != nil {
			b.Fatal(err)
		}
		link.File.Close()
		g.Close()
	}
}
