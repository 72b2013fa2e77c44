package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
)

func newSnapshotCommand(env *Env) *cobra.Command {
	c := newGroup(&cobra.Command{
		Use:   "snapshot",
		Short: "Keep moments of sandboxes, to start others from",
		Long: `Keep a moment of a running sandbox as one immutable object: memory, files and
programs. 'brig sandbox create --from-snapshot' starts from it, as often as needed.`,
		Example: `  brig snapshot create ID --name warmed
  brig sandbox create --from-snapshot warmed
  brig snapshot ls`,
	})
	c.AddCommand(newSnapshotCreateCommand(env), newSnapshotLsCommand(env), newSnapshotInspectCommand(env), newSnapshotRmCommand(env))
	return c
}

func newSnapshotCreateCommand(env *Env) *cobra.Command {
	var name string
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "create SANDBOX",
		Short: "Keep this moment of a sandbox and print the snapshot's id",
		Long:  "Keep this moment of a running sandbox, which goes on, and print the snapshot's id.",
		Example: `  brig snapshot create ID --name warmed
  brig snapshot create ID --ttl 24h --json`,
		Args: args(1, 1, "one sandbox"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error {
			return runSnapshotCreate(c.Context(), env, args[0], name, ttl)
		},
	}
	c.Flags().StringVar(&name, "name", "", "`NAME` to call it by")
	c.Flags().DurationVar(&ttl, "ttl", 0, "`TIME` after which it is removed (0 = never)")
	return c
}

func runSnapshotCreate(ctx context.Context, env *Env, id, name string, ttl time.Duration) error {
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	m, err := sb.Snapshot(ctx, name, ttl.Seconds())
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, m)
	}
	_, err = fmt.Fprintln(env.Stdout, m.ID)
	return err
}

func newSnapshotLsCommand(env *Env) *cobra.Command {
	var sandbox string
	c := &cobra.Command{
		Use:   "ls",
		Short: "List snapshots",
		Long:  "List the snapshots, the newest first.",
		Example: `  brig snapshot ls
  brig snapshot ls --sandbox ID --json`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runSnapshotLs(c.Context(), env, sandbox) },
	}
	c.Flags().StringVar(&sandbox, "sandbox", "", "only those of the sandbox with this `ID`")
	return c
}

func runSnapshotLs(ctx context.Context, env *Env, sandbox string) error {
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	list, err := c.Snapshots.List(ctx, sandbox)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SNAPSHOT\tNAME\tSANDBOX\tTEMPLATE\tSIZE\tAGE\tLEFT")
	for _, m := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, dash(m.Name), m.Sandbox, m.Template,
			api.FormatBytes(m.SizeBytes), span(m.CreatedAt, time.Now()), span(time.Now(), m.ExpiresAt))
	}
	return t.Flush()
}

func newSnapshotInspectCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect SNAPSHOT",
		Short: "Describe one snapshot",
		Long:  "Describe one snapshot: where it comes from, what it needs, its files with their checksums.",
		Example: `  brig snapshot inspect warmed
  brig snapshot inspect ID --json | jq .files`,
		Args: args(1, 1, "one snapshot"),
		RunE: func(c *cobra.Command, args []string) error { return runSnapshotInspect(c.Context(), env, args[0]) },
	}
}

func runSnapshotInspect(ctx context.Context, env *Env, id string) error {
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	m, err := c.Snapshots.Get(ctx, id)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, m)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "id\t%s\nname\t%s\nsandbox\t%s\nparent\t%s\n", m.ID, dash(m.Name), m.Sandbox, dash(m.Parent))
	fmt.Fprintf(t, "created\t%s\nstood still\t%d ms\n", m.CreatedAt.Local().Format(time.DateTime), m.PausedMS)
	fmt.Fprintf(t, "template\t%s\ndigest\t%s\ndriver\t%s\nkey\t%s\n", m.Template, m.Digest, m.Driver, m.Key)
	fmt.Fprintf(t, "size\t%s\n", api.FormatBytes(m.SizeBytes))
	for _, f := range m.Files {
		fmt.Fprintf(t, "file\t%s\t%s\tsha256 %s\n", f.Name, api.FormatBytes(f.Size), f.SHA256)
	}
	for _, k := range m.Kernels {
		fmt.Fprintf(t, "session\t%s\t%s\n", k.ID, k.Language)
	}
	return t.Flush()
}

func newSnapshotRmCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:     "rm SNAPSHOT...",
		Short:   "Remove snapshots",
		Long:    "Remove snapshots. Sandboxes that were made from one go on.",
		Example: "  brig snapshot rm warmed",
		Args:    args(1, 1000, "one snapshot or more"),
		RunE:    func(c *cobra.Command, args []string) error { return runSnapshotRm(c.Context(), env, args) },
	}
}

func runSnapshotRm(ctx context.Context, env *Env, ids []string) error {
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		errs = append(errs, c.Snapshots.Delete(ctx, id))
	}
	return errors.Join(errs...)
}
