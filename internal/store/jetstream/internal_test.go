package jetstream

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/internal/store"
)

// TestWriteFails switches our own check of the disk off, so that JetStream's
// write is the one that fails. It never answers such a write.
func TestWriteFails(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("brig-test", disk, "tmpfs", 0, "size=4M"); err != nil {
		t.Skipf("needs root to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	dir := filepath.Join(disk, "journal")
	s, err := Open(t.Context(), dir, Options{Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.reserve = -1 << 40
	write := func(i int) error {
		_, err := s.Create(t.Context(), fmt.Sprintf("k%d", i), []byte(strings.Repeat("v", 50_000)))
		return err
	}
	written := 0
	for err = nil; err == nil; written++ {
		err = write(written)
	}
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("write %d: %v, want ErrFull", written, err)
	}
	if err := write(written); !errors.Is(err, store.ErrFull) {
		t.Fatalf("the next write: %v, want ErrFull", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("brig-test", disk, "tmpfs", unix.MS_REMOUNT, "size=32M"); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), dir, Options{}); err != nil {
		t.Fatalf("Open with more room: %v", err)
	}
	defer s.Close()
	for i := range written - 1 {
		if _, err := s.Get(t.Context(), fmt.Sprintf("k%d", i)); err != nil {
			t.Errorf("Get(k%d): %v", i, err)
		}
	}
}
