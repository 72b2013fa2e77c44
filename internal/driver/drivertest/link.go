package drivertest

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// testLink gives a box a network link. What goes over it is the gateway's
// business; here, the box has to live with one, also restored from a snapshot of a
// box that had none.
func (s *suite) testLink(t *testing.T) {
	if !s.opts.Links {
		spec := s.spec()
		spec.Link = newLink(t)
		if _, err := s.d.Create(patient(t), spec); api.CodeOf(err) != api.CodeUnsupported {
			t.Errorf("a link: %v, want the code unsupported", err)
		}
		return
	}
	plain := s.create(t, s.spec())
	spec := s.spec()
	if s.opts.Snapshots && !s.opts.NoRestore {
		spec.Snapshot = s.keep(t, plain)
	}
	for range 2 { // cold is covered when there is no snapshot, or at the second turn
		spec.Link = newLink(t)
		b := s.create(t, spec)
		spec.Link.File.Close() // the box has it
		if out := s.run(t, b, Program{Print: "alive"}); out.Status != 0 || out.stdout != "alive" {
			t.Errorf("a program in a box with a link: %+v", out)
		}
		spec = s.spec()
	}
}

func newLink(t *testing.T) *driver.Link {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link")
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	return &driver.Link{
		File: theirs, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, MTU: 1500,
		Addr: netip.MustParsePrefix("198.18.0.2/30"), Gateway: netip.MustParseAddr("198.18.0.1"),
	}
}
