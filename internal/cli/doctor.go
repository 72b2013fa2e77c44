package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/doctor"
	"github.com/brigdev/brig/internal/driver"
)

func newDoctorCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host can run, how fast, and what is missing",
		Long: `Say which boundaries (rungs) this host can run, by running a guest with each,
how long that took from nothing to destroyed, what is missing and the exact
command that mends it.

Exit codes: 0 when sandboxes of gvisor's strength work here, else 1.`,
		Example: `  brig doctor
  brig doctor --json | jq .auto`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runDoctor(c.Context(), env) },
	}
}

func runDoctor(ctx context.Context, env *Env) (err error) {
	opts, err := env.AppOptions()
	if err != nil {
		return err
	}
	drivers, err := env.Drivers(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.CloseDrivers(drivers)) }()
	report := doctor.Run(ctx, drivers, opts.DataDir)
	if ctx.Err() != nil {
		return api.Errorf(api.CodeCancelled, "cannot finish the checks: because they were interrupted")
	}
	if env.JSON {
		err = writeJSON(env.Stdout, report)
	} else {
		err = printReport(env.Stdout, report)
	}
	if err == nil && !report.OK {
		return &ExitError{Code: 1}
	}
	return err
}

// printReport writes the report for people: checks, ladder, and what auto takes.
func printReport(w io.Writer, r doctor.Report) error {
	if err := printChecks(w, r.Checks); err != nil {
		return err
	}
	if err := printRungs(w, r.Rungs); err != nil {
		return err
	}
	last := "--isolation auto takes " + string(r.Auto) + "."
	if r.Auto == "" {
		last = "No boundary of gvisor's strength works here: brig runs nothing by default."
	}
	_, err := fmt.Fprintf(w, "\n%s\n", last)
	return err
}

func printChecks(w io.Writer, checks []doctor.Check) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tSTATUS\tFOUND")
	for _, c := range checks {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Name, c.Status, c.Detail)
		printFix(t, c.Fix)
	}
	return t.Flush()
}

func printRungs(w io.Writer, rungs []doctor.Rung) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nRUNG\tSTATUS\tFOUND")
	for _, rung := range rungs {
		fmt.Fprintf(t, "%s\t%s\t%s\n", rung.Rung, rung.Status, rung.Detail)
		for _, p := range rung.Probes {
			printProbe(t, p)
		}
	}
	return t.Flush()
}

// printProbe writes what one driver found: its speed, its fall-backs with their
// costs, and each fix once.
func printProbe(w io.Writer, p driver.Probe) {
	if p.OK {
		fmt.Fprintf(w, "\t\t%s: %s from nothing to destroyed\n", p.Driver, p.Took.Round(time.Millisecond/10))
	}
	fixes := []string{p.Fix}
	for _, d := range p.Degraded {
		fmt.Fprintf(w, "\t\t%s: %s\n", d.What, d.Cost)
		if !slices.Contains(fixes, d.Fix) {
			fixes = append(fixes, d.Fix)
		}
	}
	for _, fix := range fixes {
		printFix(w, fix)
	}
}

func printFix(w io.Writer, fix string) {
	if fix != "" {
		fmt.Fprintf(w, "\t\tfix: %s\n", fix)
	}
}
