package cli

import (
	"io"

	"github.com/spf13/cobra"
)

func newCompletionCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a shell completion script",
		Long: `Print a script that completes commands, flags, templates and rungs in your
shell.`,
		Example: `  source <(brig completion bash)
  brig completion zsh > "${fpath[1]}/_brig"
  brig completion fish > ~/.config/fish/completions/brig.fish`,
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args:      args(1, 1, "one shell's name (bash, zsh, fish, powershell)"),
		RunE: func(c *cobra.Command, args []string) error {
			return runCompletion(c, args[0], env.Stdout)
		},
	}
}

// runCompletion is cobra's own work: it knows the tree.
func runCompletion(c *cobra.Command, shell string, w io.Writer) error {
	switch root := c.Root(); shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(w)
	}
	return usageErrorf(c, "%q is no shell that brig knows", shell)
}
