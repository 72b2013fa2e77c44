package cli

import (
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

func newPsCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "ps",
		Short: "List the sandboxes of every Brig process",
		Long: `List the sandboxes of every Brig process that uses this state directory, oldest
first. The state orphan means that the process that made it is gone: 'brig gc'
removes it.`,
		Example: `  brig ps
  brig ps --json | jq -r '.[].id'`,
		Args: args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return runPs(env) },
	}
}

func runPs(env *Env) error {
	opts, err := env.AppOptions()
	if err != nil {
		return err
	}
	list, err := host.ListAll(opts.StateDir)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b api.SandboxInfo) int { return a.CreatedAt.Compare(b.CreatedAt) })
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SANDBOX\tSTATE\tTEMPLATE\tISOLATION\tAGE\tLEFT\tPID")
	for _, s := range list {
		if s.Pooled && s.State == "creating" {
			s.State = "ready" // for whoever asks for one of its kind
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", s.ID, s.State, s.Template, s.Isolation,
			span(s.CreatedAt, time.Now()), span(time.Now(), s.Deadline), s.OwnerPID)
	}
	return t.Flush()
}

// span is how long it is from one time to another, at least 0; "-" when either
// is not known.
func span(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "-"
	}
	return max(0, to.Sub(from)).Round(time.Second).String()
}
