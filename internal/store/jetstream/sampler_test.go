package jetstream

import (
	"errors"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server/pse"
)

// TestNoSampling would fail if NATS kept the name of its file elsewhere. With
// the sampling on, every gVisor sandbox dies of its seccomp filter after a second.
func TestNoSampling(t *testing.T) {
	var cpu float64
	var rss, vss int64
	if err := pse.ProcUsage(&cpu, &rss, &vss); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("NATS reads its CPU use: error %v, want EINVAL", err)
	}
}
