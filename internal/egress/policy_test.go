package egress

import (
	"bufio"
	"slices"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/netpolicy"
)

// TestSetPolicy: a new policy counts for new connections at once, and nothing more
// passes in those that it does not allow.
func TestSetPolicy(t *testing.T) {
	const server, request = "93.184.216.34:80", "GET / HTTP/1.1\r\nHost: web.example.org\r\n\r\n"
	for _, tt := range []struct {
		what      string
		next      api.Egress
		goes, new bool // the old connection goes on; a new one is let through
	}{
		{"the same", allow("web.example.org"), true, true},
		{"more", api.Egress{Mode: api.EgressOpen}, true, true},
		{"another name", allow("other.example.org"), false, false},
		{"nothing", api.Egress{Mode: api.EgressAllow}, false, false},
		{"denied", api.Egress{Mode: api.EgressOpen, Deny: []string{"93.184.0.0/16"}}, false, false},
	} {
		w := newWorld(t, allow("web.example.org"), echoServer(t).Listener.Addr().String())
		w.lookup("web.example.org")
		c := w.mustDial(t, server)
		r := bufio.NewReader(c)
		if _, err := say(c, r, request); err != nil {
			t.Fatalf("%s: before: %v", tt.what, err)
		}
		p, err := netpolicy.Parse(tt.next)
		if err != nil {
			t.Fatal(err)
		}
		w.SetPolicy(p)
		if _, err := say(c, r, request); (err == nil) != tt.goes {
			t.Errorf("%s: the old connection ends with %v", tt.what, err)
		}
		if c2, err := w.dial(t.Context(), "tcp", server); (err == nil) != tt.new {
			t.Errorf("%s: a new connection ends with %v", tt.what, err)
		} else if err == nil {
			c2.Close()
		}
		w.close() // and all is reported
		cut := slices.ContainsFunc(w.events, func(e api.EgressEvent) bool { return e.Kind == api.EgressClose && e.Reason == string(errPolicy) })
		if cut == tt.goes {
			t.Errorf("%s: the audit has %+v", tt.what, w.events)
		}
	}
}
