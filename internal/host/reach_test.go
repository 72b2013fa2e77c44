package host_test

import (
	"testing"

	"github.com/brigdev/brig/api"
)

// A session that was made without a network cannot be given one.
func TestSessionWithoutNetwork(t *testing.T) {
	box := newSession(t, newRig(t, newFake(nil)))
	for _, nothing := range []*api.Egress{nil, {}, {Mode: api.EgressNone}, {Mode: api.EgressAllow}} {
		if err := box.SetEgress(nothing); err != nil {
			t.Errorf("with %+v: %v", nothing, err)
		}
	}
	for e, code := range map[*api.Egress]api.Code{{Mode: api.EgressOpen}: api.CodeConflict, {Allow: []string{"192.0.2.1"}}: api.CodeConflict, {Mode: "all"}: api.CodeInvalid} {
		if err := box.SetEgress(e); err == nil || api.CodeOf(err) != code {
			t.Errorf("with %+v: %v, want the code %s", e, err, code)
		}
	}
}
