package control_test

import (
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/host"
)

// TestChildrenInheritPrograms: what ran at a fork or a snapshot is a background
// process of each child, with its stdin; what had ended is not.
func TestChildrenInheritPrograms(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	p, err := sb.LaunchProcess(t.Context(), api.ExecRequest{Argv: []string{"cat"}, Tag: "mine"}, control.ProcessOptions{OpenStdin: true})
	if err != nil {
		t.Fatal(err)
	}
	ended, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"true"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sb.WaitProcess(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	forked, err := sb.Fork(t.Context(), api.ForkRequest{Count: 2})
	if err != nil {
		t.Fatal(err)
	}
	m, err := sb.Snapshot(t.Context(), "kept", 0)
	if err != nil {
		t.Fatal(err)
	}
	restored, err := r.Create(t.Context(), "ann", api.CreateRequest{FromSnapshot: m.ID}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{forked.Children[0].ID, forked.Children[1].ID, restored.Info().ID} {
		child, err := r.Find("ann", id)
		if err != nil {
			t.Fatal(err)
		}
		list := child.Processes()
		if len(list) != 1 || list[0].PID != p.PID || list[0].Tag != "mine" || list[0].Argv[0] != "cat" || !list[0].Running || list[0].ID == p.ID {
			t.Fatalf("%s has %+v", id, list)
		}
		if err := child.WriteProcess(t.Context(), list[0].ID, strings.NewReader("to "+id), true); err != nil {
			t.Fatal(err)
		}
		if got, err := child.WaitProcess(t.Context(), list[0].ID); err != nil || got.Result.Verdict != api.OK || got.OutputBytes != int64(len("to "+id)) {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	if got, err := sb.Process(p.ID); err != nil || !got.Running {
		t.Errorf("the parent's: %+v, %v", got, err)
	}
}

// TestHibernatingSaysSo: a call that hibernating ends hears of that, and not that the
// sandbox, which lives, was destroyed.
func TestHibernatingSaysSo(t *testing.T) {
	sb := create(t, controltest.New(t))
	run, err := sb.Start(t.Context(), api.ExecRequest{Argv: []string{"hang"}}, host.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := run.Wait()
	if err != nil || got.Verdict != api.Cancelled || !strings.Contains(got.Evidence.Reason, "hibernated") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSnapshotsOfOneName: a name that several snapshots have means none of them, and
// the error says so.
func TestSnapshotsOfOneName(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	for range 2 {
		if _, err := sb.Snapshot(t.Context(), "twin", 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Snapshot(t.Context(), "ann", "twin"); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("the name of two: %v", err)
	}
	if _, err := r.Snapshot(t.Context(), "ann", "nobody"); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("the name of none: %v", err)
	}
}
