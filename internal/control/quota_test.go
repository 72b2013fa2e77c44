package control_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/host"
)

// TestQuota: an owner that has as many as it may waits for one of its own to end;
// another owner does not; what hibernates holds nothing.
func TestQuota(t *testing.T) {
	r := controltest.NewWith(t, func(c *control.Config) {
		c.Quota = func(string) control.Quota { return control.Quota{Sandboxes: 2} }
		c.CreateWithin = 30 * time.Second
	})
	create := func(owner string) *control.Sandbox {
		t.Helper()
		sb, err := r.Create(t.Context(), owner, api.CreateRequest{Template: "fake"}, "")
		if err != nil {
			t.Fatal(err)
		}
		return sb
	}
	first, second := create("ann"), create("ann")
	third := make(chan *control.Sandbox)
	go func() {
		sb, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, "")
		if err != nil {
			t.Error(err)
		}
		third <- sb
	}()
	create("bob")
	create("bob")
	select {
	case <-third:
		t.Fatal("the third did not wait")
	default:
	}
	if err := first.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sb := <-third; sb == nil {
		t.Fatal("none came")
	}
	if err := second.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	create("ann")
}

// TestQuotaDeadline: who waits in vain gets CodeExhausted, not the caller's end.
func TestQuotaDeadline(t *testing.T) {
	held := host.MemoryHeld(api.Limits{}.WithDefaults())
	r := controltest.NewWith(t, func(c *control.Config) {
		c.Quota = func(string) control.Quota { return control.Quota{MemoryBytes: held} }
		c.CreateWithin = 20 * time.Millisecond
	})
	if _, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, ""); err != nil {
		t.Fatal(err)
	}
	_, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, "")
	if api.CodeOf(err) != api.CodeExhausted || api.FixOf(err) == "" {
		t.Errorf("the second: %v", err)
	}
	_, err = r.Create(t.Context(), "bob", api.CreateRequest{Template: "fake", Limits: api.Resources{MemoryBytes: 1 << 30}}, "")
	if api.CodeOf(err) != api.CodeExhausted {
		t.Errorf("more than a quota: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = r.Create(gone, "ann", api.CreateRequest{Template: "fake"}, ""); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller that has gone: %v", err)
	}
}

// TestQuotaUnderLoad: many at once never hold more than the quota, and all are
// served in the end.
func TestQuotaUnderLoad(t *testing.T) {
	r := controltest.NewWith(t, func(c *control.Config) {
		c.Quota = func(string) control.Quota { return control.Quota{Sandboxes: 3} }
		c.CreateWithin = time.Minute
	})
	var work sync.WaitGroup
	for range 24 {
		work.Go(func() {
			sb, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, "")
			if err != nil {
				t.Error(err)
				return
			}
			if n := r.Living(); n > 3 {
				t.Errorf("%d live", n)
			}
			if err := sb.Delete(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
}
