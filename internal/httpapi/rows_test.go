package httpapi

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRows shows what follows from each row's pattern (who may use it, whether it is
// audited, how long it counts as work, whether its body may pause), so that a new
// route cannot get the wrong of it without anybody seeing that. -update writes it.
func TestRows(t *testing.T) {
	var b strings.Builder
	fmt.Fprintln(&b, "route | access | scope | looks | audited | holds a turn | body may pause")
	names := map[access]string{accessUser: "user", accessPublic: "public", accessToken: "token"}
	for _, row := range routes() {
		need := needOfRow(row.pattern)
		fmt.Fprintf(&b, "%s | %s | %s | %t | %t | %s | %t\n",
			row.pattern, names[row.access], need.Scope, need.Looks, audited(row.pattern), holdsTurn(row.pattern, need), waits(row.pattern))
	}
	path := filepath.Join("testdata", "rows.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(string(want), "\n")
	for i, line := range strings.Split(b.String(), "\n") {
		if i >= len(wanted) || line != wanted[i] {
			t.Fatalf("line %d is not as in %s: %q; look at it, then go test ./internal/httpapi -run TestRows -update", i+1, path, line)
		}
	}
}
