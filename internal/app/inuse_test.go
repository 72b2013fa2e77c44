package app

import (
	"maps"
	"testing"

	"github.com/brigdev/brig/api"
)

func TestNeededBy(t *testing.T) {
	got := neededBy([]api.SandboxInfo{
		{ID: "a", Digest: "used", State: "running"},
		{ID: "b", Digest: "taken", State: "running", Pooled: true},
		{ID: "c", Digest: "begun", State: "creating"},
		{ID: "d", Digest: "ready", State: "creating", Pooled: true},
	})
	if want := map[string]string{"used": "the sandbox a", "taken": "the sandbox b", "begun": "the sandbox c"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
