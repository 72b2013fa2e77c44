package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/template"
)

func newGCCommand(env *Env) *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove what dead Brig processes left behind, and what nothing refers to",
		Long: `Remove the sandboxes that Brig processes left behind when they were killed. The
sandboxes of living processes are never touched. Every start of Brig does the
same; this command is for looking, and for hosts where Brig is not started
again.

Then remove the images that no template, sandbox or snapshot refers to, and the
layers of builds that were not used for the longest, as far as they are more than
10 GiB.`,
		Example: `  brig gc --dry-run
  brig gc --json`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runGC(c.Context(), env, dryRun) },
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be removed")
	return c
}

func runGC(ctx context.Context, env *Env, dryRun bool) (err error) {
	opts, err := env.AppOptions()
	if err != nil {
		return err
	}
	drivers, err := env.Drivers(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.CloseDrivers(drivers)) }()
	report, err := host.Recover(ctx, opts.StateDir, drivers, dryRun, env.Log())
	if err != nil {
		return err
	}
	var images template.CollectReport
	err = withCatalog(ctx, env, func(c *template.Catalog) (err error) {
		images, err = c.Collect(ctx, dryRun)
		return err
	})
	if err != nil {
		return err
	}
	if env.JSON {
		report.Boxes = append([]host.Leftover{}, report.Boxes...) // [] and not null
		err = writeJSON(env.Stdout, gcReport{report, images})
	} else {
		err = printGC(env.Stdout, report, images)
	}
	if err == nil && report.Failed() > 0 {
		return api.Errorf(api.CodeInternal, "cannot remove %d of %d leftover boxes: because their drivers failed", report.Failed(), len(report.Boxes)).
			WithFix("run 'brig gc --json' for the reason of each, then 'brig gc' again")
	}
	return err
}

// gcReport is what gc --json prints.
type gcReport struct {
	host.Report
	Templates template.CollectReport `json:"templates"`
}

// printGC writes one line per box and image, and sums.
func printGC(w io.Writer, r host.Report, c template.CollectReport) error {
	for _, b := range r.Boxes {
		did := "removed"
		switch {
		case b.Error != "":
			did = "cannot remove: " + oneLine(b.Error)
		case r.DryRun:
			did = "would be removed"
		}
		if _, err := fmt.Fprintf(w, "%s  %s  %s\n", b.ID, b.Driver, did); err != nil {
			return err
		}
	}
	did, n := "removed", r.Removed()
	if r.DryRun {
		did, n = "would be removed", len(r.Boxes)
	}
	foreign := ""
	if r.Foreign > 0 {
		foreign = fmt.Sprintf("; %d left alone, which another state directory may own", r.Foreign)
	}
	if _, err := fmt.Fprintf(w, "%d %s (%d dead processes)%s\n", n, did, r.Owners, foreign); err != nil {
		return err
	}
	if len(c.Images)+c.Cache.Removed == 0 {
		return nil
	}
	did = "removed"
	if r.DryRun {
		did = "would be removed"
	}
	_, err := fmt.Fprintf(w, "%d images and %d layers of builds %s: %s\n", len(c.Images), c.Cache.Removed, did, api.FormatBytes(c.Freed+c.Cache.Freed))
	return err
}
