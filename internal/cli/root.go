package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
)

// newRootCommand builds the whole command tree. The list is explicit: what is
// not in it does not exist.
//
// The pattern of a command: newXCommand(env) makes the cobra command and its
// help, xOptions.AddFlags declares its flags, and runX(ctx, env, opts) does the
// work and knows no CLI library.
func newRootCommand(env *Env) *cobra.Command {
	root := newGroup(&cobra.Command{
		Use:   "brig",
		Short: "Run untrusted code, every program in its own throwaway sandbox",
		Long: `Brig runs untrusted code. Every program gets its own sandbox with a hard
budget and no network; its result is read back and the sandbox is destroyed.

Directories:
  $BRIG_DATA    templates and snapshots  (default /var/lib/brig as root,
                else $XDG_DATA_HOME/brig or ~/.local/share/brig)
  $BRIG_STATE   journal of what is running  (default /run/brig as root,
                else $XDG_RUNTIME_DIR/brig or /tmp/brig-<uid>)

Somebody else's server: $BRIG_API, its URL, and $BRIG_API_KEY.`,
		Example: `  brig run -- python3 -c 'print(6 * 7)'
  brig batch run items.jsonl -o out
  id=$(brig sandbox create); brig sandbox shell $id
  brig doctor`,
		Version:       readVersion().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.SetVersionTemplate("brig {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.BoolVar(&env.JSON, "json", false, "print results and errors as JSON")
	flags.BoolVar(&env.Verbose, "verbose", false, "print debug logs on stderr")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		usage := usageErrorf(c, "%v", err)
		if fix := api.FixOf(err); fix != "" {
			usage.WithFix("%s", fix)
		}
		return usage
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		newRunCommand(env),
		newBatchCommand(env),
		newTemplateCommand(env),
		newSandboxCommand(env),
		newForkCommand(env),
		newPromoteCommand(env),
		newSnapshotCommand(env),
		newCodeCommand(env),
		newServeCommand(env),
		newKeyCommand(env),
		newMCPCommand(env),
		newPsCommand(env),
		newGCCommand(env),
		newDoctorCommand(env),
		newBenchCommand(env),
		newVersionCommand(env),
		newCompletionCommand(env),
	)
	root.InitDefaultHelpCmd()
	return root
}

// newGroup makes c a command that only has subcommands: alone it prints its
// help, and an unknown name is an error that says what is near.
func newGroup(c *cobra.Command) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		err := usageErrorf(c, "there is no command %q", args[0])
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			err.WithFix("did you mean '%s %s'?", c.CommandPath(), strings.Join(near, "' or '"))
		}
		return err
	}
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

// usageErrorf is a mistake on the command line: exit 2 and a pointer to help.
func usageErrorf(c *cobra.Command, format string, args ...any) *api.Error {
	return api.Errorf(api.CodeInvalid, "cannot read the command line: because "+format, args...).
		WithFix("see '%s --help'", c.CommandPath())
}

// args accepts between least and most positional arguments; names says what
// they are ("INPUT").
func args(least, most int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, got []string) error {
		switch {
		case len(got) < least:
			return usageErrorf(c, "%s is missing", names)
		case len(got) > most && most == 0:
			return usageErrorf(c, "%q is one argument too many: the command takes none", got[0])
		case len(got) > most:
			return usageErrorf(c, "%q is one argument too many: the command takes %s", got[most], names)
		}
		return nil
	}
}
