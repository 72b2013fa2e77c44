package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// TestEgressChanges: what a running sandbox may reach can be changed, from nothing
// to something and back.
func TestEgressChanges(t *testing.T) {
	w := openOutside(t)
	made, err := w.brig.Host.Create(t.Context(), api.SandboxSpec{
		Template: "python", Limits: api.DefaultLimits(), Session: true, Egress: &api.Egress{Mode: api.EgressAllow},
	})
	if err != nil {
		t.Fatal(err)
	}
	box := made.(host.Session)
	defer func() {
		if err := box.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	for _, tt := range []struct {
		egress           *api.Egress
		byName, byNumber string
	}{
		{nil, "refused", "refused"},
		{&api.Egress{Mode: api.EgressAllow, Allow: []string{"web.example.org"}}, "REACHED", "refused"},
		{&api.Egress{Mode: api.EgressOpen}, "REACHED", "REACHED"},
		{&api.Egress{Mode: api.EgressOpen, Deny: []string{"93.184.216.99"}}, "REACHED", "refused"},
		{&api.Egress{Mode: api.EgressNone}, "refused", "refused"},
	} {
		if err := box.SetEgress(tt.egress); err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(runPython(t, box, `
print(fails(get, "http://web.example.org/").split()[0], fails(get, "http://93.184.216.99/").split()[0])
`))
		if len(got) != 2 || got[0] != tt.byName || got[1] != tt.byNumber {
			t.Errorf("with %+v: %q, want %s %s", tt.egress, got, tt.byName, tt.byNumber)
		}
	}
	if err := box.SetEgress(&api.Egress{Mode: "all"}); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("a mode that is not: %v", err)
	}
}
