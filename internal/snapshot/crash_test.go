package snapshot

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/crashtest"
)

func TestMain(m *testing.M) { crashtest.Main(m, crashChild) }

// crashSteps are where a process may die, in the order in which it meets them,
// and how many snapshots there are then.
var crashSteps = []struct {
	step string
	left int
}{
	{"empty", 1},
	{"half filled", 1},
	{"filled", 1},
	{"summed", 1},
	{"manifest summed", 1},
	{"described", 1},
	{"about to be named", 1},
	{"named", 2},
	{"in use", 2},
	{"pinned", 2},
	{"about to be removed", 2},
	{"without a name", 1},
	{"removed", 1},
}

// crashChild keeps one snapshot; then it makes another, uses it and removes it.
func crashChild(step, dir string) error {
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if _, err := s.Create(ctx, writes(meta(), twoFiles)); err != nil {
		return err
	}
	s.at = func(now string) {
		if now == step {
			crashtest.Die()
		}
	}
	m, err := s.Create(ctx, func(dir string) (api.Snapshot, error) {
		if err := os.WriteFile(filepath.Join(dir, "pages.img"), []byte("hal"), 0o600); err != nil {
			return api.Snapshot{}, err
		}
		s.at("half filled")
		return writes(meta(), twoFiles)(dir)
	})
	if err != nil {
		return err
	}
	if step == "wait" {
		if _, _, err := s.Use(ctx, m.ID, need()); err != nil {
			return err
		}
		fmt.Println(m.ID)
		syscall.Pause() // until the parent kills us
	}
	_, release, err := s.Use(ctx, m.ID, need())
	if err != nil {
		return err
	}
	s.at("in use")
	release()
	if err := s.Pin(ctx, m.ID, "sbx-1"); err != nil {
		return err
	}
	s.at("pinned")
	if err := s.Unpin(ctx, m.ID, "sbx-1"); err != nil {
		return err
	}
	if err := s.Remove(ctx, m.ID); err != nil {
		return err
	}
	s.at("removed")
	return nil
}

// TestKilledAtEachStep: whatever is killed when, what is listed can be used, nothing
// half-made is left by the next process, and doing it again succeeds.
func TestKilledAtEachStep(t *testing.T) {
	for _, try := range crashSteps {
		t.Run(try.step, func(t *testing.T) {
			dir := t.TempDir()
			crashtest.Run(t, try.step, dir)
			s := openIn(t, dir, Options{})
			if left, _ := filepath.Glob(s.path("tmp/*")); len(left) != 1 { // our own
				t.Errorf("half-made: %v", left)
			}
			list, err := s.List(t.Context(), Filter{})
			if err != nil || len(list) != try.left {
				t.Errorf("%d snapshots are listed, want %d: %v", len(list), try.left, err)
			}
			if _, count := s.Usage(); count != len(list) {
				t.Errorf("%d snapshots are there and %d listed", count, len(list))
			}
			for _, m := range list {
				must(t, os.Remove(s.path(m.ID, checkedName))) // read it whole
				_, release, err := s.Use(t.Context(), m.ID, need())
				must(t, err)
				release()
			}
			create(t, s)
			for _, m := range list {
				must(t, s.Unpin(t.Context(), m.ID, "sbx-1"))
				must(t, s.Remove(t.Context(), m.ID))
			}
		})
	}
}

// A hold ends with its process, and not before.
func TestHoldOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := crashtest.Command(t, "wait", dir)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer cmd.Process.Kill()
	id, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	id = id[:len(id)-1]
	s := openIn(t, dir, Options{})
	wantCode(t, s.Remove(t.Context(), id), api.CodeConflict)
	must(t, cmd.Process.Kill())
	cmd.Wait()
	must(t, s.Remove(t.Context(), id))
}
