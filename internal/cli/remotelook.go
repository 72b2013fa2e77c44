package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/outdir"
)

// batchOf says which server's batch is meant: by the directory that follows it, or
// by its id. c is nil when a directory is of a batch of this machine.
func batchOf(ctx context.Context, env *Env, name string) (c *client.Client, id string, err error) {
	r, ok, err := readRemote(outdir.Dir(name))
	switch {
	case err != nil:
		return nil, "", err
	case ok:
		c, err = r.client(env)
		return c, r.Batch, err
	case strings.HasPrefix(name, "batch_"):
		c, err = connect(ctx, env)
		return c, name, err
	}
	return nil, "", nil
}

// statusOf is how far a batch is, here or at a server.
func statusOf(ctx context.Context, env *Env, dir outdir.Dir) (batch.StatusReport, error) {
	c, id, err := batchOf(ctx, env, string(dir))
	if err != nil {
		return batch.StatusReport{}, err
	}
	if c == nil {
		return batch.Status(dir)
	}
	defer c.Close()
	b, err := c.Batches.Get(ctx, id)
	if err != nil {
		return batch.StatusReport{}, err
	}
	s := batch.StatusReport{Snapshot: progressOf(b), Running: !b.Final()}
	if b.Final() {
		sum := summaryOf(b)
		s.Summary = &sum
	}
	return s, nil
}

// showOf is what is known of one item, here or at a server.
func showOf(ctx context.Context, env *Env, dir outdir.Dir, customID string) (batch.ItemReport, error) {
	c, id, err := batchOf(ctx, env, string(dir))
	if err != nil {
		return batch.ItemReport{}, err
	}
	if c == nil {
		return batch.Show(ctx, dir, customID)
	}
	defer c.Close()
	it, err := c.Batches.Item(ctx, id, customID)
	return itemOf(it), err
}

func newBatchLsCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the batches at a server",
		Long: `List your batches at the server that BRIG_API names, or at the local one, the newest
first. A batch that ran without a server is known by its directory only.`,
		Example: `  BRIG_API=https://brig.example.com brig batch ls`,
		Args:    args(0, 0, ""),
		RunE:    func(c *cobra.Command, _ []string) error { return runBatchLs(c.Context(), env) },
	}
}

func runBatchLs(ctx context.Context, env *Env) error {
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	list := []api.Batch{}
	for after := ""; ; {
		p, err := c.Batches.List(ctx, after, 100)
		if err != nil {
			return err
		}
		list = append(list, p.Data...)
		if after = p.LastID; !p.HasMore {
			break
		}
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BATCH\tSTATUS\tDONE\tOK\tFAILED\tTEMPLATE\tCREATED")
	for _, b := range list {
		n := b.RequestCounts
		fmt.Fprintf(t, "%s\t%s\t%d/%d\t%d\t%d\t%s\t%s\n", b.ID, b.Status, n.Completed+n.Failed, n.Total, n.Completed, n.Failed, b.Request.Template,
			time.Unix(b.CreatedAt, 0).Format("2006-01-02 15:04"))
	}
	return t.Flush()
}

func newBatchCancelCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel DIR|BATCH",
		Short: "End a batch at a server",
		Long: `End a batch that a server runs. Results that it has stay, and 'brig batch run' with
the same directory goes on with the rest.`,
		Example: `  brig batch cancel out`,
		Args:    args(1, 1, "a directory (DIR) or a batch's id (BATCH)"),
		RunE:    func(c *cobra.Command, args []string) error { return runBatchCancel(c.Context(), env, args[0]) },
	}
}

func runBatchCancel(ctx context.Context, env *Env, name string) error {
	c, id, err := batchOf(ctx, env, name)
	if err != nil {
		return err
	}
	if c == nil {
		return api.Errorf(api.CodeInvalid, "cannot cancel %s: because it is no batch of a server", name).WithFix("end a batch of this machine with Ctrl-C")
	}
	defer c.Close()
	b, err := c.Batches.Cancel(ctx, id)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, b)
	}
	_, err = fmt.Fprintf(env.Stderr, "%s is %s\n", b.ID, b.Status)
	return err
}
