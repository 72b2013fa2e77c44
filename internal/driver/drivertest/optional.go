package drivertest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
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

// testSnapshotRunning keeps a box whose program runs, twice in a row; in the clone
// the program goes on.
func (s *suite) testSnapshotRunning(t *testing.T) {
	if !s.opts.Snapshots || s.opts.NoRestore {
		t.Skip("these boxes have no snapshots")
	}
	b := s.create(t, s.spec())
	request := s.request(Program{Echo: true})
	request.Flags |= guest.ExecKeep
	p, err := b.guest.Launch(patient(t), request, guest.Streams{Stdin: never{patient(t)}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Wait(patient(t)) // with an error: the box is destroyed first
	}()
	t.Cleanup(func() { <-ended })
	t.Cleanup(func() { b.end(t) })
	s.keep(t, b)
	spec := s.spec()
	spec.Snapshot = s.keep(t, b)
	clone := s.create(t, spec)
	var out bytes.Buffer
	again, err := clone.guest.Attach(patient(t), p.PID(), guest.Streams{Stdin: strings.NewReader("hello"), Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := again.Wait(patient(t)); err != nil || r.Status != 0 || out.String() != "hello" {
		t.Errorf("in the clone the program ended with %+v, %v, and said %q", r, err, out.String())
	}
}

// never is a reader that has nothing until ctx ends.
type never struct{ ctx context.Context }

func (n never) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, n.ctx.Err()
}

// keep makes a snapshot of a box that goes on.
func (s *suite) keep(t *testing.T, b box) string {
	t.Helper()
	dir := t.TempDir()
	if p, ok := b.Box.(driver.SnapshotPreparer); ok {
		if err := p.PrepareSnapshot(patient(t), dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.guest.Freeze(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := b.Box.(driver.Snapshotter).Snapshot(patient(t), dir, true); err != nil {
		t.Fatal(err)
	}
	if err := b.guest.Thaw(patient(t)); err != nil {
		t.Fatal(err)
	}
	return dir
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
