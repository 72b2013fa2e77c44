package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

func newSandboxCommand(env *Env) *cobra.Command {
	c := newGroup(&cobra.Command{
		Use:     "sandbox",
		Aliases: []string{"sb"},
		Short:   "Sandboxes that live longer than one command",
		Long: `Make and use sandboxes that live until their time is over or they are removed. They
belong to a server: the one that BRIG_API (with BRIG_API_KEY) names, else one of
this user's own, which the first command starts in the background and which ends
by itself when it had no sandbox for 10 minutes.

Commands name a sandbox by its id, or by its name when only one has it.`,
		Example: `  id=$(brig sandbox create --template python)
  brig sandbox exec $id -- python3 -c 'print(6 * 7)'
  brig sandbox cp data.csv $id:/work/data.csv
  brig sandbox shell $id
  brig sandbox rm $id`,
	})
	c.AddCommand(
		newSandboxCreateCommand(env), newSandboxLsCommand(env), newSandboxGetCommand(env),
		newSandboxExecCommand(env), newSandboxShellCommand(env), newSandboxCpCommand(env),
		newSandboxLogsCommand(env), newSandboxEventsCommand(env), newSandboxStatsCommand(env),
		newSandboxPortsCommand(env), newSandboxForwardCommand(env),
		newSandboxPauseCommand(env), newSandboxResumeCommand(env), newSandboxHibernateCommand(env), newSandboxRmCommand(env),
	)
	return c
}

// completeSandboxes completes ids of living sandboxes. It never starts a server.
func completeSandboxes(env *Env) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		opts, err := env.AppOptions()
		address := env.Getenv("BRIG_API")
		if address == "" && err == nil {
			address = socketIn(opts.StateDir)
		}
		cl, err := client.New(address, env.Getenv("BRIG_API_KEY"))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
		defer cancel()
		list, _ := cl.Sandboxes.List(ctx, false) // without an answer there is nothing to complete
		var names []cobra.Completion
		for _, sb := range list {
			if !slices.Contains(args, sb.ID) {
				names = append(names, cobra.CompletionWithDesc(sb.ID, dash(sb.Name)+" "+sb.Template))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func newSandboxLsCommand(env *Env) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List sandboxes",
		Long: `List the sandboxes that live, the newest first, and those that ended in a way that
nobody asked for, until they are removed with 'brig sandbox rm'.`,
		Example: `  brig sandbox ls
  brig sandbox ls --all --json | jq -r '.[].id'`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runSandboxLs(c.Context(), env, all) },
	}
	c.Flags().BoolVar(&all, "all", false, "those that were removed or whose time was over, too")
	return c
}

func runSandboxLs(ctx context.Context, env *Env, all bool) error {
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	list, err := c.Sandboxes.List(ctx, true)
	if err != nil {
		return err
	}
	if !all {
		list = slices.DeleteFunc(list, func(sb api.Sandbox) bool { return sb.Status == api.StatusDeleted })
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SANDBOX\tNAME\tSTATUS\tTEMPLATE\tISOLATION\tAGE\tLEFT")
	for _, sb := range list {
		status, left := sb.Status, span(time.Now(), sb.ExpiresAt)
		if sb.Ended != nil {
			status, left = "ended: "+sb.Ended.Reason, "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", sb.ID, dash(sb.Name), status, sb.Template, sb.Isolation, span(sb.CreatedAt, time.Now()), left)
	}
	return t.Flush()
}

func newSandboxGetCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "get ID",
		Short: "Describe one sandbox",
		Long:  "Describe one sandbox, also one that has ended, with the reason.",
		Example: `  brig sandbox get ID
  brig sandbox get ID --json | jq .expires_at`,
		Args: args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error { return runSandboxGet(c.Context(), env, args[0]) },
	}
}

func runSandboxGet(ctx context.Context, env *Env, id string) error {
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	sb, err := c.Sandboxes.Get(ctx, id)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, sb.Info)
	}
	i := sb.Info
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	row("id", i.ID)
	row("name", i.Name)
	row("status", i.Status)
	if i.Ended != nil {
		row("ended", i.Ended.Reason+" at "+i.Ended.At.Format(time.DateTime))
		row("", i.Ended.Detail)
	}
	row("template", i.Template)
	row("isolation", string(i.Isolation)+" ("+i.Driver+")")
	row("limits", fmt.Sprintf("%s memory, %g cpus, %d pids, %s disk", api.FormatBytes(i.Limits.MemoryBytes), i.Limits.CPUs, i.Limits.PIDs, api.FormatBytes(i.Limits.DiskBytes)))
	row("created", i.CreatedAt.Local().Format(time.DateTime)+fmt.Sprintf(" in %d ms (%s)", i.BootMS, i.BootMode))
	row("expires", i.ExpiresAt.Local().Format(time.DateTime))
	row("snapshot", i.FromSnapshot)
	row("parent", i.ParentID)
	row("fork tree", i.ForkTreeID)
	for _, k := range sortedKeys(i.Metadata) {
		row("metadata", k+"="+i.Metadata[k])
	}
	return t.Flush()
}

// simple is a command that does one thing to each of its sandboxes.
func simple(env *Env, c *cobra.Command, do func(context.Context, *client.Sandbox) error) *cobra.Command {
	c.Args = args(1, 1000, "one sandbox or more (ID)")
	c.ValidArgsFunction = completeSandboxes(env)
	c.RunE = func(c *cobra.Command, ids []string) error { return runEach(c.Context(), env, ids, do) }
	return c
}

// runEach goes on past one that fails.
func runEach(ctx context.Context, env *Env, ids []string, do func(context.Context, *client.Sandbox) error) error {
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		errs = append(errs, do(ctx, c.Sandboxes.Open(id)))
	}
	return errors.Join(errs...)
}

func newSandboxPauseCommand(env *Env) *cobra.Command {
	return simple(env, &cobra.Command{
		Use: "pause ID...", Short: "Stop everything inside until 'resume'",
		Long:    "Stop every process inside until 'brig sandbox resume'. Memory is kept; the deadline goes on.",
		Example: "  brig sandbox pause ID",
	}, func(ctx context.Context, sb *client.Sandbox) error { return sb.Pause(ctx) })
}

func newSandboxResumeCommand(env *Env) *cobra.Command {
	return simple(env, &cobra.Command{
		Use: "resume ID...", Short: "Let a paused sandbox go on, or wake a hibernated one",
		Long:    "Let a paused sandbox go on, or wake a hibernated one.",
		Example: "  brig sandbox resume ID",
	}, func(ctx context.Context, sb *client.Sandbox) error { return sb.Resume(ctx) })
}

func newSandboxHibernateCommand(env *Env) *cobra.Command {
	return simple(env, &cobra.Command{
		Use: "hibernate ID...", Short: "Keep a sandbox on disk until its next use",
		Long: `Keep a sandbox on disk, with its memory, files and programs, and give back all that
it holds. Its next use wakes it, also after the server was restarted. The deadline
goes on.`,
		Example: "  brig sandbox hibernate ID; brig sandbox exec ID -- uptime",
	}, func(ctx context.Context, sb *client.Sandbox) error { return sb.Hibernate(ctx) })
}

func newSandboxRmCommand(env *Env) *cobra.Command {
	return simple(env, &cobra.Command{
		Use: "rm ID...", Short: "Destroy sandboxes",
		Long:    "Destroy sandboxes, whatever they do. Of one that has ended, 'ls' says no more.",
		Example: "  brig sandbox rm ID\n  brig sandbox rm $(brig sandbox ls --json | jq -r '.[].id')",
	}, func(ctx context.Context, sb *client.Sandbox) error { return sb.Delete(ctx) })
}
