package control_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
)

func change(t *testing.T, sb *control.Sandbox, c api.LifecycleChange) api.Lifecycle {
	t.Helper()
	l, err := sb.SetLifecycle(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestHibernateAtEnd: at its deadline such a sandbox hibernates, in the middle of
// whatever it does, for much longer than it had; its next use wakes it.
func TestHibernateAtEnd(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	put(t, sb, "/work/a.txt", "echo kept")
	p, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"hang"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	soon, yes := 0.05, true
	if l := change(t, sb, api.LifecycleChange{TTLSeconds: &soon, HibernateAtEnd: &yes}); !l.HibernateAtEnd {
		t.Errorf("it says %+v", l)
	}
	controltest.Eventually(t, "the sleep", func() bool { return sb.Info().Status == api.StatusHibernated && r.Boxes() == 0 })
	if left := time.Until(sb.Info().ExpiresAt); left < 24*time.Hour {
		t.Errorf("it sleeps for %s", left)
	}
	if res := exec(t, sb, "run", "/work/a.txt"); res.Stdout != "kept\n" {
		t.Errorf("woken, it has %+v", res)
	}
	if _, err := sb.Process(p.ID); err != nil {
		t.Errorf("its process is forgotten: %v", err)
	}
	no := false
	change(t, sb, api.LifecycleChange{TTLSeconds: &soon, HibernateAtEnd: &no})
	controltest.Eventually(t, "the end", func() bool { return sb.Info().Status == api.StatusDeleted })
}

func TestExtendOnly(t *testing.T) {
	sb := create(t, controltest.New(t))
	for _, tt := range []struct{ ttl, want float64 }{{600, 3600}, {7200, 7200}, {60, 7200}} {
		if l := change(t, sb, api.LifecycleChange{TTLSeconds: &tt.ttl, ExtendOnly: true}); l.TTLSeconds != tt.want {
			t.Errorf("with %g seconds: %+v, want %g", tt.ttl, l, tt.want)
		}
	}
}

// TestNotes: they are kept with their sandbox, changed as one step, and not handed
// to children.
func TestNotes(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	if sb.Notes() != nil {
		t.Errorf("a new one has the notes %s", sb.Notes())
	}
	set := func(old json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`{"a":1}`), nil }
	refuse := func(old json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(`{}`), errors.New(string(old))
	}
	if err := sb.EditNotes(set); err != nil {
		t.Fatal(err)
	}
	if err := sb.EditNotes(refuse); err == nil || err.Error() != `{"a":1}` {
		t.Errorf("a change that is refused: %v", err)
	}
	children, err := sb.Fork(t.Context(), api.ForkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	child, err := r.Lookup(children.Children[0].ID)
	if err != nil || child.Notes() != nil {
		t.Errorf("a child has the notes %s, %v", child.Notes(), err)
	}
	if err := sb.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Restart()
	found := r.Search(func(sb *control.Sandbox) bool { return len(sb.Notes()) > 0 })
	if found == nil || found.ID() != sb.ID() || string(found.Notes()) != `{"a":1}` {
		t.Errorf("after a restart: %v", found)
	}
	if r.Search(func(*control.Sandbox) bool { return false }) != nil {
		t.Error("it finds what is not")
	}
}
