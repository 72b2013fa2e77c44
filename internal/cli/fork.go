package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

func newForkCommand(env *Env) *cobra.Command {
	var req api.ForkRequest
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "fork ID",
		Short: "Make copies of a running sandbox, memory and all",
		Long: `Make copies of one moment of a running sandbox: memory, files, programs and
interpreter sessions. The sandbox goes on. The copies get their own id, hostname,
randomness and time; limits, environment and metadata are its own.`,
		Example: `  brig fork ID -n 3
  brig fork ID -n 8 --name try --json | jq -r '.children[].id'`,
		Args: args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error {
			req.TTLSeconds = ttl.Seconds()
			return runFork(c.Context(), env, args[0], req)
		},
	}
	c.Flags().IntVarP(&req.Count, "number", "n", 1, "`COUNT` of copies, at most 64")
	c.Flags().StringVar(&req.Name, "name", "", "`NAME` of the copy; several get -1, -2, … behind it")
	c.Flags().DurationVar(&ttl, "ttl", 0, "wall-clock `TIME` of the copies (default the sandbox's, from now)")
	return c
}

func runFork(ctx context.Context, env *Env, id string, req api.ForkRequest) error {
	if req.Count < 1 || req.TTLSeconds < 0 {
		return api.Errorf(api.CodeInvalid, "cannot fork: because --number and --ttl have to be positive").WithFix("use -n 2")
	}
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	res, err := sb.Fork(ctx, req)
	if err != nil {
		return err
	}
	if env.JSON {
		err = writeJSON(env.Stdout, res)
	} else {
		for _, child := range res.Children {
			if _, err := fmt.Fprintln(env.Stdout, child.ID); err != nil {
				return err
			}
		}
	}
	if err == nil && len(res.Errors) > 0 {
		return api.Errorf(api.CodeUnavailable, "cannot make %d of %d copies: because %s", len(res.Errors), req.Count, res.Errors[0].Err).
			WithFix("remove or hibernate sandboxes that are not needed, or fork one that has less memory; the copies that are listed work")
	}
	return err
}

func newPromoteCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "promote ID",
		Short: "Keep one copy of a fork and destroy the others",
		Long: `Keep one copy that 'brig fork' made and destroy the others of that fork. The sandbox
that was forked is left alone.`,
		Example: "  brig promote ID",
		Args:    args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error { return runPromote(c.Context(), env, args[0]) },
	}
}

func runPromote(ctx context.Context, env *Env, id string) error {
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	return promote(ctx, env, sb)
}

func promote(ctx context.Context, env *Env, sb *client.Sandbox) error {
	res, err := sb.Promote(ctx)
	if err != nil {
		return err
	}
	if env.JSON {
		err = writeJSON(env.Stdout, res)
	} else {
		_, err = fmt.Fprintf(env.Stdout, "kept %s, removed %d\n", res.Winner, len(res.Deleted))
	}
	if err == nil && len(res.Failures) > 0 {
		return api.Errorf(api.CodeInternal, "cannot remove %d siblings: because the server failed", len(res.Failures)).
			WithFix("remove them with 'brig sandbox rm'")
	}
	return err
}
