package jetstream_test

import (
	"testing"

	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/jetstream"
	"github.com/brigdev/brig/internal/store/storetest"
)

func open(t *testing.T, dir string, opts jetstream.Options) *jetstream.Store {
	t.Helper()
	s, err := jetstream.Open(t.Context(), dir, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		dir := t.TempDir()
		return func(t *testing.T) store.Store { return open(t, dir, jetstream.Options{}) }
	})
}
