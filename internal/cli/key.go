package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/auth"
)

func newKeyCommand(env *Env) *cobra.Command {
	c := newGroup(&cobra.Command{
		Use:   "key",
		Short: "Make, list and revoke keys of 'brig serve'",
		Long: `Make, list and revoke the keys with which callers reach 'brig serve' over TCP.
They are in keys.json in $BRIG_DATA, as hashes. A server that runs sees a change at
once.`,
		Example: `  brig key create --label ci --ttl 720h
  brig key ls`,
	})
	c.AddCommand(newKeyCreateCommand(env), newKeyLsCommand(env), newKeyRevokeCommand(env))
	return c
}

func newKeyCreateCommand(env *Env) *cobra.Command {
	var label, owner string
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a key and print it, this once",
		Long: `Make a key and print it: it is not shown again. Whose sandboxes its caller sees is
the owner's business: keys of one owner share them, and another owner's do not
exist for them.`,
		Example: `  brig key create --label notebook
  brig key create --owner team-b --ttl 24h --json`,
		Args: args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return runKeyCreate(env, label, owner, ttl) },
	}
	c.Flags().StringVar(&label, "label", "", "`TEXT` to know it by")
	c.Flags().StringVar(&owner, "owner", auth.LocalOwner, "whose it is, a `NAME`; the socket's caller is local")
	c.Flags().DurationVar(&ttl, "ttl", 0, "`TIME` after which it does not work any more (0 = never)")
	return c
}

func openKeys(env *Env) (*auth.Keys, error) {
	opts, err := env.AppOptions()
	if err != nil {
		return nil, err
	}
	return app.OpenKeys(opts)
}

func runKeyCreate(env *Env, label, owner string, ttl time.Duration) error {
	keys, err := openKeys(env)
	if err != nil {
		return err
	}
	key, secret, err := keys.Mint(label, owner, ttl)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, struct {
			auth.Key
			Secret string `json:"key"`
		}{key, secret})
	}
	_, err = fmt.Fprintln(env.Stdout, secret)
	return err
}

func newKeyLsCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the keys, without their secrets",
		Long:  "List the keys by the beginnings of their secrets, the oldest first.",
		Example: `  brig key ls
  brig key ls --json | jq -r '.[].prefix'`,
		Args: args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return runKeyLs(env) },
	}
}

func runKeyLs(env *Env) error {
	keys, err := openKeys(env)
	if err != nil {
		return err
	}
	list, err := keys.List()
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tLABEL\tOWNER\tCREATED\tEXPIRES")
	for _, k := range list {
		expires := "never"
		if !k.ExpiresAt.IsZero() {
			expires = k.ExpiresAt.Format(time.DateTime)
		}
		fmt.Fprintf(t, "%s…\t%s\t%s\t%s\t%s\n", k.Prefix, dash(k.Label), k.Owner, k.CreatedAt.Format(time.DateTime), expires)
	}
	return t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func newKeyRevokeCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke KEY",
		Short:   "Make a key worthless at once",
		Long:    "Make a key worthless at once. KEY is the beginning of its secret, as 'brig key ls' prints it.",
		Example: "  brig key revoke brig_ab12cd",
		Args:    args(1, 1, "one key's beginning (KEY)"),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := openKeys(env)
			if err != nil {
				return err
			}
			return keys.Revoke(args[0])
		},
	}
}
