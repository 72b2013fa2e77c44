package jetstream_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/jetstream"
	"github.com/brigdev/brig/internal/store/storetest"
)

// smallDisk mounts a tmpfs of so many bytes for the length of the test.
func smallDisk(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("brig-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("needs root to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// TestFull fills a disk under the store, which must say so before the disk is
// quite full, and open with everything in it once there is room.
func TestFull(t *testing.T) {
	disk := smallDisk(t, 24<<20)
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(disk, "journal")
	opts := jetstream.Options{Reserve: 4 << 20}
	s := open(t, dir, opts)
	value := strings.Repeat("v", 50_000)
	written := 0
	var err error
	for ; err == nil; written++ {
		_, err = s.Create(t.Context(), fmt.Sprintf("k%d", written), []byte(value))
	}
	written--
	if !errors.Is(err, store.ErrFull) || api.FixOf(err) == "" || written < 100 {
		t.Fatalf("after %d writes: %v (fix %q), want ErrFull with a fix after 100 or more", written, err, api.FixOf(err))
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := os.WriteFile(filepath.Join(disk, "more"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := jetstream.Open(t.Context(), dir, opts); !errors.Is(err, store.ErrFull) {
		t.Fatalf("Open on a full disk: %v, want ErrFull", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, opts)
	for i := range written {
		r, err := s.Get(t.Context(), fmt.Sprintf("k%d", i))
		if err != nil || string(r.Value) != value {
			t.Fatalf("after making room: Get(k%d) gave %d bytes, %v", i, len(r.Value), err)
		}
	}
	storetest.MustCreate(t, s, "more", "x")
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, jetstream.Options{})
	_, err := jetstream.Open(t.Context(), dir, jetstream.Options{})
	want := fmt.Sprintf("another brig (pid %d) is running this batch", os.Getpid())
	if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), want) {
		t.Fatalf("second Open: %v (%s), want a conflict that says %q", err, api.CodeOf(err), want)
	}
	storetest.MustCreate(t, s, "a", "still works")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, jetstream.Options{})
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := jetstream.Open(t.Context(), filepath.Join(file, "journal"), jetstream.Options{})
	if api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
		t.Errorf("Open below a file: %v, want CodeInvalid with a fix", err)
	}
}

// TestTornTail cuts and spoils the end of the newest block as a machine that
// loses power does. What was written before the damage is still there.
func TestTornTail(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"cut in a record":     func(b []byte) []byte { return b[:len(b)-30] },
		"zeros at the end":    func(b []byte) []byte { return append(b[:len(b)-30], make([]byte, 30)...) },
		"garbage at the end":  func(b []byte) []byte { return append(b, "\xde\xad\xbe\xef and so on"...) },
		"half a record more":  func(b []byte) []byte { return append(b, b[:40]...) },
		"no index, torn tail": func(b []byte) []byte { return b[:len(b)-1] },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, jetstream.Options{})
			for i := range 10 {
				storetest.MustCreate(t, s, fmt.Sprintf("k%d", i), strings.Repeat("x", 100))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			blocks, err := filepath.Glob(filepath.Join(dir, "jetstream/*/streams/*/msgs/*.blk"))
			if err != nil || len(blocks) != 1 {
				t.Fatalf("blocks: %v, %v", blocks, err)
			}
			// The index is written at a clean end, which a crash has not.
			if err := os.Remove(filepath.Join(filepath.Dir(blocks[0]), "index.db")); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(blocks[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(blocks[0], spoil(b), 0o600); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir, jetstream.Options{})
			n := 0
			for r, err := range s.All(t.Context()) {
				if err != nil || r.Key != fmt.Sprintf("k%d", n) || len(r.Value) != 100 {
					t.Fatalf("record %d is %s with %d bytes, %v", n, r.Key, len(r.Value), err)
				}
				n++
			}
			if n < 9 {
				t.Errorf("%d of 10 records survived, want at least 9", n)
			}
			storetest.MustCreate(t, s, "more", "x")
		})
	}
}

// TestSurvivesKill kills a process that writes, again and again: what it said to
// be durable is there. The process is this test binary run again.
func TestSurvivesKill(t *testing.T) {
	if dir := os.Getenv("BRIG_TEST_WRITER"); dir != "" {
		writeUntilKilled(t, dir, os.Getenv("BRIG_TEST_ROUND"))
		return
	}
	dir := t.TempDir()
	durable := map[string]bool{}
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSurvivesKill$")
		cmd.Env = append(os.Environ(), "BRIG_TEST_WRITER="+dir, fmt.Sprintf("BRIG_TEST_ROUND=%d", round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 40 + 13*round {
			var key string
			if _, err := fmt.Fscanln(out, &key); err != nil {
				t.Fatalf("the writer ended by itself: %v", err)
			}
			durable[key] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	s := open(t, dir, jetstream.Options{})
	for key := range durable {
		if r, err := s.Get(t.Context(), key); err != nil || string(r.Value) != key+" done" {
			t.Errorf("Get(%s) = %q, %v after the kill", key, r.Value, err)
		}
	}
}

// writeUntilKilled prints each key once its second value is durable.
func writeUntilKilled(t *testing.T, dir, round string) {
	s := open(t, dir, jetstream.Options{})
	for i := 0; ; i++ {
		key := fmt.Sprintf("r%s-%d", round, i)
		rev := storetest.MustCreate(t, s, key, "begun")
		if _, err := s.Update(t.Context(), key, []byte(key+" done"), rev); err != nil {
			t.Fatal(err)
		}
		fmt.Println(key)
	}
}
