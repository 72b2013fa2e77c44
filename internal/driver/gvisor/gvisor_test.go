package gvisor

import (
	"os"
	"testing"

	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
)

func TestMain(m *testing.M) {
	sentry.Dispatch()
	os.Exit(m.Run())
}

func TestProbeRunsAGuest(t *testing.T) {
	d, err := New(Config{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p := d.Probe(t.Context())
	if !p.OK {
		t.Fatalf("probe: %+v", p)
	}
	t.Logf("%+v", p)
}
