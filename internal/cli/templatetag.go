package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/internal/template"
)

func newTemplateTagCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "tag NAME NEW",
		Short: "Give a template a second name",
		Long: `Give a template a second name. Names move, images don't: if NEW meant something
else, 'brig template rollback NEW' brings that back.`,
		Example: `  brig template tag app app-stable`,
		Args:    args(2, 2, "NAME and NEW"),

		ValidArgsFunction: completeTemplates(env),
		RunE: func(c *cobra.Command, names []string) error {
			return runTemplateTag(c.Context(), env, names[0], names[1])
		},
	}
}

func runTemplateTag(ctx context.Context, env *Env, name, to string) error {
	if env.Getenv("BRIG_API") != "" {
		return notRemote("this command")
	}
	return withCatalog(ctx, env, func(c *template.Catalog) error {
		if err := c.Tag(ctx, name, to); err != nil {
			return err
		}
		fmt.Fprintf(env.Stderr, "%s means the same as %s\n", to, name)
		return nil
	})
}

func newTemplateRollbackCommand(env *Env) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Let a name mean again what it meant before",
		Long: `Let a name mean again what it meant before its last build. The two images before
the present one are kept for that; 'brig template inspect' lists them. Rolling back
twice is where you began.`,
		Example: `  brig template rollback app
  brig template rollback app --to sha256:…`,
		Args: args(1, 1, "one NAME"),

		ValidArgsFunction: completeTemplates(env),
		RunE: func(c *cobra.Command, names []string) error {
			return runTemplateRollback(c.Context(), env, names[0], to)
		},
	}
	c.Flags().StringVar(&to, "to", "", "`DIGEST` of an image that the name meant (default: the last one)")
	return c
}

func runTemplateRollback(ctx context.Context, env *Env, name, to string) error {
	if env.Getenv("BRIG_API") != "" {
		return notRemote("this command")
	}
	return withCatalog(ctx, env, func(c *template.Catalog) error {
		digest, err := c.Rollback(ctx, name, to)
		if err != nil {
			return err
		}
		if env.JSON {
			return writeJSON(env.Stdout, map[string]string{"name": name, "digest": digest})
		}
		fmt.Fprintf(env.Stderr, "%s means %s again\n", name, digest)
		return nil
	})
}
