package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/auth"
)

// keyring is where keys are: the file in $BRIG_DATA, or the server that BRIG_API
// names.
type keyring struct {
	Create func(context.Context, api.KeyRequest) (api.Key, error)
	List   func(ctx context.Context, all bool) ([]api.Key, error)
	Revoke func(ctx context.Context, prefix string) error
}

func openKeyring(env *Env) (keyring, error) {
	c, err := chosen(env)
	if err != nil {
		return keyring{}, err
	}
	if c != nil {
		return keyring{Create: c.Keys.Create, List: c.Keys.List, Revoke: c.Keys.Revoke}, nil
	}
	opts, err := env.AppOptions()
	if err != nil {
		return keyring{}, err
	}
	file, err := app.OpenKeys(opts)
	if err != nil {
		return keyring{}, err
	}
	return keyring{
		Create: func(_ context.Context, req api.KeyRequest) (api.Key, error) {
			checked, err := auth.RequestOf(req)
			if err != nil {
				return api.Key{}, err
			}
			key, secret, err := file.Create(checked)
			return key.Wire(secret), err
		},
		List: func(context.Context, bool) ([]api.Key, error) {
			keys, err := file.List()
			list := []api.Key{}
			for _, k := range keys {
				list = append(list, k.Wire(""))
			}
			return list, err
		},
		Revoke: func(_ context.Context, prefix string) error { return file.Revoke(prefix) },
	}, nil
}

func newKeyCommand(env *Env) *cobra.Command {
	c := newGroup(&cobra.Command{
		Use:   "key",
		Short: "Make, list and revoke keys of 'brig serve'",
		Long: `Make, list and revoke the keys with which callers reach 'brig serve' over TCP.
They are in keys.json in $BRIG_DATA, as hashes. A server that runs sees a change at
once. With BRIG_API set it is the keys of that server.`,
		Example: `  brig key create --label ci --ttl 720h
  brig key ls`,
	})
	c.AddCommand(newKeyCreateCommand(env), newKeyLsCommand(env), newKeyRevokeCommand(env))
	return c
}

func newKeyCreateCommand(env *Env) *cobra.Command {
	var req api.KeyRequest
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a key and print it, this once",
		Long: `Make a key and print it: it is not shown again. Whose sandboxes its caller sees is
the owner's business: keys of one owner share them, and another owner's do not
exist for them. A key may do everything that is its owner's, or what its scopes
name: read, sandboxes, batches, templates, keys, audit; admin is for all owners.

Published clients of other services look at a key before they send it: make theirs
with --style.`,
		Example: `  brig key create --label notebook
  brig key create --owner team-b --ttl 24h --json
  brig key create --scope sandboxes --style e2b`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			req.TTLSeconds = ttl.Seconds()
			return runKeyCreate(c.Context(), env, req)
		},
	}
	f := c.Flags()
	f.StringVar(&req.Label, "label", "", "`TEXT` to know it by")
	f.StringVar(&req.Owner, "owner", "", "whose it is, a `NAME` (default local, who is also the socket's caller; of a server, its key's)")
	f.StringSliceVar(&req.Scopes, "scope", nil, "what it may do, `SCOPE,…` (default all)")
	f.StringVar(&req.Style, "style", "", "how it is written, a `NAME`: brig, pandastack or e2b (default brig)")
	f.DurationVar(&ttl, "ttl", 0, "`TIME` after which it does not work any more (0 = never)")
	return c
}

func runKeyCreate(ctx context.Context, env *Env, req api.KeyRequest) error {
	keys, err := openKeyring(env)
	if err != nil {
		return err
	}
	key, err := keys.Create(ctx, req)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, key)
	}
	_, err = fmt.Fprintln(env.Stdout, key.Secret)
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
		RunE: func(c *cobra.Command, _ []string) error { return runKeyLs(c.Context(), env) },
	}
}

func runKeyLs(ctx context.Context, env *Env) error {
	keys, err := openKeyring(env)
	if err != nil {
		return err
	}
	list, err := keys.List(ctx, false)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tLABEL\tOWNER\tSCOPES\tCREATED\tEXPIRES")
	for _, k := range list {
		expires := "never"
		if !k.ExpiresAt.IsZero() {
			expires = k.ExpiresAt.Format(time.DateTime)
		}
		fmt.Fprintf(t, "%s…\t%s\t%s\t%s\t%s\t%s\n", k.Prefix, dash(k.Label), k.Owner, strings.Join(k.Scopes, ","), k.CreatedAt.Format(time.DateTime), expires)
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
		RunE: func(c *cobra.Command, args []string) error {
			keys, err := openKeyring(env)
			if err != nil {
				return err
			}
			return keys.Revoke(c.Context(), args[0])
		},
	}
}
