package hosttest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// pause pauses a session, where that can be done.
func (s *suite) pause(t *testing.T, box host.Session) {
	t.Helper()
	err := box.Pause(s.ctx)
	if err != nil && api.CodeOf(err) == api.CodeUnsupported {
		t.Skipf("the sandboxes of this host cannot be paused: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *suite) testPause(t *testing.T) {
	box := s.session(t)
	e := s.startEcho(s.ctx, t, box, api.ExecSpec{})
	for range 3 {
		s.pause(t, box)
		if state := box.Info().State; state != "paused" {
			t.Errorf("a paused sandbox says that it is %s", state)
		}
		_, err := box.Exec(s.ctx, api.ExecSpec{Argv: s.Programs.True}, host.Stdio{})
		wantCode(t, "exec in a paused sandbox", err, api.CodeConflict)
		wantCode(t, "put", box.Put(s.ctx, "x", 0o644, strings.NewReader("x")), api.CodeConflict)
		_, err = box.Snapshot(s.ctx, t.TempDir())
		wantCode(t, "snapshot", err, api.CodeConflict)
		if err := box.Pause(s.ctx); err != nil {
			t.Errorf("pause again: %v", err)
		}
		if err := box.Resume(s.ctx); err != nil {
			t.Fatal(err)
		}
		if state := box.Info().State; state != "running" {
			t.Errorf("a resumed sandbox says that it is %s", state)
		}
		e.say(t, "still there")
	}
	if err := box.Resume(s.ctx); err != nil {
		t.Errorf("resume what runs: %v", err)
	}
	e.end(t)
	s.wantAlive(t, box)

	s.pause(t, box)
	if err := box.Destroy(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.wantEnded(t, box, "destroyed")
	wantCode(t, "resume what is gone", box.Resume(s.ctx), api.CodeConflict)
}

// Time goes on in a pause: a program that is late is killed afterwards, a sandbox
// at once.
func (s *suite) testPauseAndTime(t *testing.T) {
	box := s.session(t)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	late := s.startEcho(s.ctx, t, box, api.ExecSpec{Timeout: time.Second})
	left := s.startEcho(ctx, t, box, api.ExecSpec{})
	s.pause(t, box)
	cancel()
	clock := s.session(t, func(spec *api.SandboxSpec) { spec.TTL = 1500 * time.Millisecond })
	s.wantEnded(t, clock, "ttl")
	if err := box.Resume(s.ctx); err != nil {
		t.Fatal(err)
	}
	late.wantVerdict(t, api.Timeout)
	left.wantVerdict(t, api.Cancelled)
	s.wantAlive(t, box)

	s.pause(t, box)
	if err := box.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	s.wantEnded(t, box, "ttl")
}

// snapshot keeps a session's moment, where that can be done.
func (s *suite) snapshot(t *testing.T, box host.Session) string {
	t.Helper()
	dir := t.TempDir()
	paused, err := box.Snapshot(s.ctx, dir)
	if err != nil && api.CodeOf(err) == api.CodeUnsupported {
		t.Skipf("the sandboxes of this host have no snapshots: %v", err)
	}
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	if paused <= 0 {
		t.Errorf("it stood still for %s", paused)
	}
	return dir
}

func (s *suite) restore(t *testing.T, dir string) host.Session {
	t.Helper()
	return s.session(t, func(spec *api.SandboxSpec) { spec.Snapshot = dir })
}

func (s *suite) put(t *testing.T, box host.Session, name, text string) {
	t.Helper()
	if err := box.Put(s.ctx, name, 0o644, strings.NewReader(text)); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func (s *suite) wantFile(t *testing.T, box host.Session, name, text string) {
	t.Helper()
	var got strings.Builder
	if _, err := box.Get(s.ctx, name, 1<<20, &got); err != nil || got.String() != text {
		t.Errorf("%s holds %q, %v; want %q", name, got.String(), err, text)
	}
}

// attach takes up a program of a snapshot, which copies its input.
func (s *suite) attach(t *testing.T, box host.Session, pid int) echo {
	t.Helper()
	return s.converse(t, func(io host.Stdio) (host.Process, error) {
		return box.Attach(s.ctx, pid, api.ExecSpec{}, io)
	})
}

// A clone has the files and the programs of the moment, and a name of its own.
func (s *suite) testSnapshot(t *testing.T) {
	box := s.session(t)
	if box.SnapshotKey() == "" {
		t.Skip("the sandboxes of this host have no snapshots")
	}
	s.put(t, box, "kept", "before")
	e := s.startEcho(s.ctx, t, box, api.ExecSpec{Keep: true})
	dir := s.snapshot(t, box)
	s.put(t, box, "kept", "after")
	e.say(t, "the parent goes on")

	one, two := s.restore(t, dir), s.restore(t, dir)
	for _, c := range []host.Session{one, two} {
		if !c.Info().Restored || c.Info().ID == box.Info().ID {
			t.Errorf("info of a clone: %+v", c.Info())
		}
		s.wantFile(t, c, "kept", "before")
		if r := s.run(t, c, api.ExecSpec{Argv: s.Programs.Hostname}, ""); r.stdout != c.Info().ID+"\n" {
			t.Errorf("the host name of %s is %q", c.Info().ID, r.stdout)
		}
		s.attach(t, c, e.PID()).say(t, "the program goes on in the clone")
	}
	s.wantDistinctMachines(t, box, one, two)
	s.put(t, one, "kept", "in one")
	s.wantFile(t, two, "kept", "before")
	s.wantFile(t, box, "kept", "after")
	e.say(t, "nothing of that was about me")
	e.end(t)
}

func (s *suite) wantDistinctMachines(t *testing.T, boxes ...host.Session) {
	t.Helper()
	seen := map[string]bool{}
	for _, box := range boxes {
		var id strings.Builder
		if _, err := box.Get(s.ctx, "/etc/machine-id", 100, &id); err != nil || len(strings.TrimSpace(id.String())) != 32 {
			t.Errorf("the machine id is %q, %v", id.String(), err)
		}
		if seen[id.String()] {
			t.Errorf("two machines have the id %s", id.String())
		}
		seen[id.String()] = true
	}
}

// A clone can be snapshotted in turn, and one sandbox more than once.
func (s *suite) testSnapshotGenerations(t *testing.T) {
	box := s.session(t)
	e := s.startEcho(s.ctx, t, box, api.ExecSpec{Keep: true})
	for _, generation := range []string{"first", "second", "third"} {
		s.put(t, box, "kept", generation)
		s.snapshot(t, box)
		dir := s.snapshot(t, box)
		s.put(t, box, "kept", "changed")
		child := s.restore(t, dir)
		s.wantFile(t, child, "kept", generation)
		e = s.attach(t, child, e.PID())
		if err := box.Destroy(s.ctx); err != nil {
			t.Error(err)
		}
		box = child
	}
	e.say(t, "three boxes later")
	e.end(t)
}

// Snapshots are taken while programs come and go, and none of them notices.
func (s *suite) testSnapshotAmidExecs(t *testing.T) {
	box := s.session(t)
	if box.SnapshotKey() == "" {
		t.Skip("the sandboxes of this host have no snapshots")
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var out strings.Builder
				text := strings.Repeat("x", 70_000)
				r, err := box.Exec(s.ctx, api.ExecSpec{Argv: s.Programs.Echo}, host.Stdio{Stdin: strings.NewReader(text), Stdout: &out})
				if err != nil || r.Verdict != api.OK || out.String() != text {
					t.Errorf("beside a snapshot: %s, %v, %d bytes", r.Verdict, err, out.Len())
					return
				}
			}
		})
	}
	var last string
	for range 4 {
		last = s.snapshot(t, box)
	}
	close(stop)
	all.Wait()
	s.wantAlive(t, box)
	s.wantAlive(t, s.restore(t, last))
}

// A sandbox ends when it is to, whatever is being done with it.
func (s *suite) testSnapshotAndEnd(t *testing.T) {
	for name, end := range map[string]func(host.Session) error{
		"destroyed": func(box host.Session) error { return box.Destroy(s.ctx) },
		"ttl":       func(box host.Session) error { return box.SetDeadline(time.Now().Add(time.Millisecond)) },
	} {
		box := s.session(t)
		if box.SnapshotKey() == "" {
			t.Skip("the sandboxes of this host have no snapshots")
		}
		began := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			for once := sync.OnceFunc(func() { close(began) }); ; once() {
				if _, err := box.Snapshot(s.ctx, t.TempDir()); err != nil {
					wantCode(t, "snapshot of what ends", err, api.CodeConflict)
					return
				}
			}
		})
		<-began
		if err := end(box); err != nil {
			t.Error(err)
		}
		all.Wait()
		s.wantEnded(t, box, name)
	}
	// A caller who goes away does not leave the sandbox standing still.
	box := s.session(t)
	gone, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := box.Snapshot(gone, t.TempDir())
	wantCode(t, "a cancelled snapshot", err, api.CodeCancelled)
	e := s.startEcho(s.ctx, t, box, api.ExecSpec{})
	e.say(t, "it goes on")
	e.end(t)
}
