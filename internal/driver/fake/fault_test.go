package fake

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// faulty makes a driver whose every box has the fault.
func faulty(f Fault) *Driver {
	return New(Options{Fault: func(int, driver.BoxSpec) Fault { return f }})
}

func TestNthCreateFails(t *testing.T) {
	broken := errors.New("no room")
	d := New(Options{Fault: func(n int, _ driver.BoxSpec) Fault {
		if n == 2 {
			return Fault{Create: broken}
		}
		return Fault{}
	}})
	for n, want := range []error{nil, broken, nil} {
		b, err := d.Create(t.Context(), driver.BoxSpec{ID: "a"})
		if !errors.Is(err, want) {
			t.Fatalf("create %d: %v", n+1, err)
		}
		if b != nil {
			b.Destroy(t.Context())
		}
		if left, _ := d.Leftovers(t.Context()); len(left) != 0 {
			t.Fatalf("create %d left %v", n+1, left)
		}
	}
	if d.Creates() != 3 {
		t.Errorf("%d creates", d.Creates())
	}
}

func TestUnavailable(t *testing.T) {
	d := New(Options{Unavailable: "there is no KVM"})
	if _, err := d.Create(t.Context(), driver.BoxSpec{ID: "a"}); api.CodeOf(err) != api.CodeUnavailable {
		t.Error(err)
	}
	if p := d.Probe(t.Context()); p.OK || p.Reason == "" || p.Fix == "" {
		t.Errorf("probe %+v", p)
	}
}

func TestDestroyFailsOnce(t *testing.T) {
	d := faulty(Fault{Destroy: errors.New("busy")})
	b, err := d.Create(t.Context(), driver.BoxSpec{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if b.Destroy(t.Context()) == nil {
		t.Error("the first Destroy worked")
	}
	if left, _ := d.Leftovers(t.Context()); len(left) != 1 {
		t.Errorf("a box that could not be destroyed is not a leftover: %v", left)
	}
	if err := d.Destroy(t.Context(), driver.Handle{ID: "a"}); err != nil {
		t.Error(err)
	}
}

func TestMuteGuest(t *testing.T) {
	b, err := faulty(Fault{Mute: true}).Create(t.Context(), driver.BoxSpec{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := guest.Start(ctx, b.Channel(), [64]byte{}, time.Now(), guest.Identity{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := b.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMuteInstruction(t *testing.T) {
	_, c := open(t, New(Options{}), driver.BoxSpec{ID: "a"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, sh("mute"), guest.Streams{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestBoxesThatDie(t *testing.T) {
	tests := []struct {
		name  string
		fault Fault
		do    string
		oom   bool
	}{
		{name: "by a timer", fault: Fault{DieAfter: time.Millisecond}, do: "hang"},
		{name: "by the program", do: "die of boredom"},
		{name: "for memory", do: "oom box", oom: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := faulty(tt.fault).Create(t.Context(), driver.BoxSpec{ID: "a"})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Destroy(t.Context())
			if c, err := guest.Start(t.Context(), b.Channel(), [64]byte{}, time.Now(), guest.Identity{}); err == nil {
				defer c.Close()
				if _, err := c.Exec(t.Context(), sh(tt.do), guest.Streams{}); !errors.Is(err, io.EOF) {
					t.Errorf("exec: %v", err)
				}
			}
			<-b.Done()
			if d := b.Death(); d.Killed || d.OOM != tt.oom || d.Detail == "" {
				t.Errorf("death %+v", d)
			}
		})
	}
}

func TestLies(t *testing.T) {
	for _, lie := range Lies() {
		t.Run(string(lie), func(t *testing.T) {
			var bad *guest.ProtocolError
			b, err := faulty(Fault{Lie: lie}).Create(t.Context(), driver.BoxSpec{ID: "a"})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Destroy(t.Context())
			if _, err := guest.Start(t.Context(), b.Channel(), [64]byte{}, time.Now(), guest.Identity{}); !errors.As(err, &bad) {
				t.Errorf("start: %v", err)
			}
			_, c := open(t, New(Options{}), driver.BoxSpec{ID: "b"})
			_, err = c.Exec(t.Context(), sh("lie "+string(lie)), guest.Streams{})
			<-c.Done()
			if !errors.As(c.Err(), &bad) {
				t.Errorf("exec: %v, connection: %v", err, c.Err())
			}
		})
	}
}
