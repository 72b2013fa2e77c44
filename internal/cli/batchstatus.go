package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/internal/batch/outdir"
)

func newBatchStatusCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "status DIR",
		Short: "Say how far a batch is",
		Long: `Say how far the batch in DIR is, while it runs and afterwards. It only reads, and
disturbs nothing.`,
		Example: `  brig batch status out
  watch brig batch status out`,
		Args: args(1, 1, "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			return runBatchStatus(c.Context(), env, outdir.Dir(args[0]))
		},
	}
}

func runBatchStatus(ctx context.Context, env *Env, dir outdir.Dir) error {
	s, err := statusOf(ctx, env, dir)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, s)
	}
	switch {
	case s.Summary != nil:
		s.Summary.Report(env.Stdout)
		return nil
	case s.Running && s.PID == 0:
		_, err = fmt.Fprintf(env.Stdout, "%s at the server\n%s\n", s.State, s.Line())
	case s.Running:
		_, err = fmt.Fprintf(env.Stdout, "%s (pid %d)\n%s\n", s.State, s.PID, s.Line())
	case s.State == "":
		_, err = fmt.Fprintln(env.Stdout, "begun, and nothing is known of its progress; run the same command again to resume it")
	default:
		_, err = fmt.Fprintf(env.Stdout, "ended without finishing (pid %d is gone); run the same command again to resume it\n%s\n", s.PID, s.Line())
	}
	return err
}
