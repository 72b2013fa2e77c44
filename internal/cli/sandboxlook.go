package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
)

func newSandboxLogsCommand(env *Env) *cobra.Command {
	var follow bool
	var stream string
	c := &cobra.Command{
		Use:   "logs ID",
		Short: "Print the end of what a sandbox's programs printed",
		Long: `Print the last 256 KiB of what programs in the sandbox printed, terminals left out.
They outlive the sandbox.`,
		Example: `  brig sandbox logs ID
  brig sandbox logs -f ID`,
		Args: args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error {
			sb, err := sandboxOf(c.Context(), env, args[0])
			if err != nil {
				return err
			}
			return sb.Logs(c.Context(), stream, follow, env.Stdout)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the sandbox ends")
	c.Flags().StringVar(&stream, "stream", "both", "`NAME`: stdout, stderr or both")
	return c
}

func newSandboxEventsCommand(env *Env) *cobra.Command {
	var tail int
	c := &cobra.Command{
		Use:   "events ID",
		Short: "Print what happened to a sandbox",
		Long:  "Print what happened to a sandbox, the oldest first. Events outlive it.",
		Example: `  brig sandbox events ID
  brig sandbox events ID --tail 5 --json`,
		Args: args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error {
			return runSandboxEvents(c.Context(), env, args[0], tail)
		},
	}
	c.Flags().IntVar(&tail, "tail", 0, "only the newest `N` (0 = all that are kept)")
	return c
}

func runSandboxEvents(ctx context.Context, env *Env, id string, tail int) error {
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	list, err := sb.Events(ctx, tail)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	for _, e := range list {
		var words []string
		for _, k := range sortedKeys(e.Payload) {
			words = append(words, k+"="+oneLine(e.Payload[k]))
		}
		if _, err := fmt.Fprintln(env.Stdout, strings.TrimSpace(e.Time.Local().Format(time.DateTime)+"  "+e.Type+"  "+strings.Join(words, " "))); err != nil {
			return err
		}
	}
	return nil
}

func newSandboxStatsCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "stats ID",
		Short: "Print what a sandbox uses now",
		Long:  "Print what a sandbox uses now, beside its limits.",
		Example: `  brig sandbox stats ID
  brig sandbox stats ID --json`,
		Args: args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error { return runSandboxStats(c.Context(), env, args[0]) },
	}
}

func runSandboxStats(ctx context.Context, env *Env, id string) error {
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	st, err := sb.Stats(ctx)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, st)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "memory\t%s of %s\n", api.FormatBytes(st.MemoryBytes), api.FormatBytes(st.MemoryLimit))
	fmt.Fprintf(t, "peak memory\t%s\n", api.FormatBytes(st.PeakMemoryBytes))
	fmt.Fprintf(t, "cpu time\t%s\n", time.Duration(st.CPUMS)*time.Millisecond)
	fmt.Fprintf(t, "cpus\t%g\n", st.CPUs)
	fmt.Fprintf(t, "programs\t%d\n", st.Processes)
	return t.Flush()
}
