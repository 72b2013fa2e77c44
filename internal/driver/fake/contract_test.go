package fake

import (
	"fmt"
	"strings"
	"testing"

	"github.com/brigdev/brig/internal/driver/drivertest"
)

func TestContract(t *testing.T) {
	drivertest.Run(t, New(Options{}), drivertest.Options{Snapshots: true, Program: scriptOf})
}

// scriptOf makes a script of a portable program.
func scriptOf(p drivertest.Program) []string {
	var b strings.Builder
	if p.Write != "" {
		fmt.Fprintf(&b, "write %s %s\n", p.Write, p.Content)
	}
	if p.Print != "" {
		fmt.Fprintf(&b, "stdout $%q\n", p.Print)
	}
	if p.Complain != "" {
		fmt.Fprintf(&b, "stderr $%q\n", p.Complain)
	}
	if p.Cat != "" {
		fmt.Fprintf(&b, "cat %s\n", p.Cat)
	}
	if p.Echo {
		b.WriteString("cat\n")
	}
	if p.Hang {
		b.WriteString("hang\n")
	}
	fmt.Fprintf(&b, "exit %d\n", p.Exit)
	return []string{"sh", "-c", b.String()}
}
