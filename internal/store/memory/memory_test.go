package memory_test

import (
	"testing"

	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/memory"
	"github.com/brigdev/brig/internal/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		s := memory.New()
		return func(t *testing.T) store.Store {
			s.Reopen()
			return s
		}
	})
}

func TestFillAfter(t *testing.T) {
	s := memory.New()
	s.FillAfter(1)
	storetest.MustCreate(t, s, "a", "1")
	if _, err := s.Create(t.Context(), "b", nil); err != store.ErrFull {
		t.Fatalf("second write: %v, want ErrFull", err)
	}
	s.FillAfter(-1)
	storetest.MustCreate(t, s, "b", "2")
}
