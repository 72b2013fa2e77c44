package fake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/drivertest"
)

// plantedFault makes TestContract run with a driver that breaks the contract.
const plantedFault = "BRIG_TEST_PLANTED_FAULT"

func TestContract(t *testing.T) {
	drivertest.Run(t, planted(os.Getenv(plantedFault)), drivertest.Options{Snapshots: true, Program: scriptOf})
}

// TestContractCatches plants faults in the driver: each must fail the suite, in
// the test that is about it.
func TestContractCatches(t *testing.T) {
	for fault, test := range map[string]string{
		"leak":              "TestContract",
		"ignore context":    "CancelledCreate",
		"forget a box":      "Lifecycle",
		"destroy only once": "DestroyWithoutCreate",
		"deny the killing":  "Lifecycle",
		"hide snapshots":    "Probe",
		"same files":        "Concurrent",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestContract$")
			cmd.Env = append(os.Environ(), plantedFault+"="+fault)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestContract") || !strings.Contains(string(out), test) {
				t.Errorf("the suite did not catch it (%v):\n%s", err, out)
			}
		})
	}
}

// planted is a driver with one fault.
func planted(fault string) driver.Driver {
	if fault == "" {
		return New(Options{})
	}
	return &broken{Driver: New(Options{}), fault: fault}
}

type broken struct {
	*Driver
	fault string

	mu     sync.Mutex // guards what follows
	last   string
	shared *files
}

func (d *broken) Create(ctx context.Context, spec driver.BoxSpec) (driver.Box, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.fault {
	case "leak":
		// Not os.Open: the garbage collector would close it.
		if _, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
			return nil, err
		}
	case "ignore context":
		ctx = context.WithoutCancel(ctx)
	case "forget a box":
		d.last = spec.ID
	}
	b, err := d.Driver.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	switch d.fault {
	case "deny the killing":
		return innocent{b.(*Box)}, nil
	case "same files":
		b := b.(*Box)
		if d.shared == nil {
			d.shared = b.state.files
		}
		b.state.files = d.shared
	}
	return b, nil
}

func (d *broken) Leftovers(ctx context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids, err := d.Driver.Leftovers(ctx)
	if d.last != "" && len(ids) == 0 {
		ids = append(ids, d.last)
	}
	return ids, err
}

func (d *broken) Destroy(ctx context.Context, h driver.Handle) error {
	if ids, _ := d.Driver.Leftovers(ctx); d.fault == "destroy only once" && len(ids) == 0 {
		return errors.New("there is no such box")
	}
	return d.Driver.Destroy(ctx, h)
}

func (d *broken) Probe(ctx context.Context) driver.Probe {
	p := d.Driver.Probe(ctx)
	p.Snapshots = d.fault != "hide snapshots"
	return p
}

// innocent is a box that nobody ever killed.
type innocent struct{ *Box }

func (innocent) Death() driver.Death { return driver.Death{} }

// scriptOf makes a script of a portable program.
func scriptOf(p drivertest.Program) []string {
	var b strings.Builder
	if p.Write != "" {
		fmt.Fprintf(&b, "write %s %s\n", p.Write, p.Content)
	}
	for verb, name := range map[string]string{"pid": p.PID, "daemon": p.Daemon} {
		if name != "" {
			fmt.Fprintf(&b, "%s %s\n", verb, name)
		}
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
	for verb, name := range map[string]string{"alive": p.Alive, "stop": p.Stop} {
		if name != "" {
			fmt.Fprintf(&b, "%s %s\n", verb, name)
		}
	}
	for verb, wanted := range map[string]bool{"flood": p.Flood, "sizes": p.Sizes, "cat": p.Echo} {
		if wanted {
			b.WriteString(verb + "\n")
		}
	}
	if p.Hang {
		b.WriteString("hang\n")
	}
	fmt.Fprintf(&b, "exit %d\n", p.Exit)
	return []string{"sh", "-c", b.String()}
}
