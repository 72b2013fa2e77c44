package guest

import (
	"slices"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
)

// TestWatchForgets: a directory that was moved away and then removed no longer counts
// against what one watch may have.
func TestWatchForgets(t *testing.T) {
	var told []string
	w := &watch{dirs: map[int32]string{1: ".", 2: "a", 3: "a/b"}, give: func(c api.FileChange) error {
		told = append(told, string(c.Op)+" "+c.Name)
		return nil
	}}
	events := slices.Concat(
		eventOf(1, syscall.IN_MOVED_FROM|syscall.IN_ISDIR, 2, "a\x00"),
		eventOf(2, syscall.IN_MOVE_SELF, 0, ""), eventOf(3, syscall.IN_CREATE, 2, "x\x00"),
		eventOf(3, syscall.IN_IGNORED, 0, ""), eventOf(2, syscall.IN_IGNORED, 0, ""),
	)
	if err := w.heed(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if len(w.dirs) != 1 || w.dirs[1] != "." {
		t.Errorf("still watched: %v", w.dirs)
	}
	if !slices.Equal(told, []string{"rename a"}) {
		t.Errorf("told %q", told)
	}
}
