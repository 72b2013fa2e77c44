package drivertest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

func (s *suite) testUsage(t *testing.T) {
	b := s.create(t, s.spec())
	u, ok := b.Box.(driver.Usager)
	if !ok {
		t.Skip("these boxes do not account for themselves")
	}
	s.run(t, b, Program{Print: "work"})
	got, err := u.Usage()
	if err != nil || got.CPU < 0 || got.PeakMemoryBytes < got.MemoryBytes || got.OOMKills != 0 {
		t.Errorf("usage %+v, %v", got, err)
	}
}

// testPause pauses a box amid a program and sees it go on afterwards.
func (s *suite) testPause(t *testing.T) {
	b := s.create(t, s.spec())
	p, ok := b.Box.(driver.Pauser)
	if !ok {
		t.Skip("these boxes cannot be paused")
	}
	for range 2 {
		if err := p.Pause(patient(t)); err != nil {
			t.Fatal(err)
		}
		ended := make(chan output, 1)
		go func() { ended <- s.run(t, b, Program{Print: "again"}) }()
		if err := p.Resume(patient(t)); err != nil {
			t.Fatal(err)
		}
		if out := <-ended; out.stdout != "again" {
			t.Errorf("after Resume: %+v", out)
		}
	}
	if err := p.Pause(patient(t)); err != nil { // a paused box can be destroyed
		t.Fatal(err)
	}
}

func (s *suite) testSnapshot(t *testing.T) {
	b := s.create(t, s.spec())
	snap, box := b.Box.(driver.Snapshotter)
	key, drv := s.d.(driver.SnapshotKeyer)
	if box != s.opts.Snapshots || drv != s.opts.Snapshots {
		t.Fatalf("Options say snapshots %v; the box says %v and the driver %v", s.opts.Snapshots, box, drv)
	}
	if !s.opts.Snapshots || s.opts.NoRestore {
		spec := s.spec()
		spec.Snapshot = t.TempDir()
		if _, err := s.d.Create(patient(t), spec); api.CodeOf(err) != api.CodeUnsupported {
			t.Errorf("restore: %v, want the code unsupported", err)
		}
		return
	}
	if key.SnapshotKey() == "" {
		t.Error("the snapshot key is empty")
	}
	dir := t.TempDir()
	if out := s.run(t, b, Program{Write: "kept", Content: "before"}); out.Status != 0 {
		t.Fatalf("write: %+v", out)
	}
	if err := snap.Snapshot(patient(t), dir, true); err != nil {
		t.Fatal(err)
	}
	if out := s.run(t, b, Program{Write: "kept", Content: "after"}); out.Status != 0 {
		t.Errorf("the box does not go on after its snapshot: %+v", out)
	}
	s.checkClones(t, dir)
	s.checkAttach(t, b, snap)
	if err := snap.Snapshot(patient(t), t.TempDir(), false); err != nil {
		t.Fatal(err)
	}
	done(t, b)
	s.checkBadSnapshot(t)
}

// checkClones restores two boxes: both have the old state, and neither sees the
// other's changes.
func (s *suite) checkClones(t *testing.T, dir string) {
	t.Helper()
	spec := s.spec()
	spec.Snapshot = dir
	one := s.create(t, spec)
	spec.ID = s.spec().ID
	two := s.create(t, spec)
	for _, b := range []box{one, two} {
		if out := s.run(t, b, Program{Cat: "kept"}); out.stdout != "before" {
			t.Errorf("a clone reads %+v", out)
		}
	}
	if err := one.guest.Put(patient(t), "/work/kept", 0o644, strings.NewReader("changed")); err != nil {
		t.Error(err)
	}
	var got bytes.Buffer
	if _, err := two.guest.Get(patient(t), "/work/kept", 100, &got); err != nil || got.String() != "before" {
		t.Errorf("a clone sees its sibling's change: %q, %v", got.String(), err)
	}
}

// checkBadSnapshot restores from nothing: an error, and no box.
func (s *suite) checkBadSnapshot(t *testing.T) {
	t.Helper()
	spec := s.spec()
	spec.Snapshot = t.TempDir()
	if b, err := s.d.Create(patient(t), spec); err == nil {
		t.Error("a box was restored from an empty directory")
		box{Box: b}.end(t)
	}
}
