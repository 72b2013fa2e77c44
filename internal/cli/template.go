package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/template"
)

func newTemplateCommand(env *Env) *cobra.Command {
	c := newGroup(&cobra.Command{
		Use:   "template",
		Short: "Build, list and remove root filesystems",
		Long: `Build, list and remove templates: the root filesystems that sandboxes start from.

The template host is always there: it shows this machine's own programs,
read-only, and nothing else of it. Others are built once by 'brig template build'
and are the same everywhere.`,
		Example: `  brig template build python
  brig template ls`,
	})
	c.AddCommand(newTemplateBuildCommand(env), newTemplateLsCommand(env), newTemplateInspectCommand(env),
		newTemplateTagCommand(env), newTemplateRollbackCommand(env), newTemplateRmCommand(env))
	return c
}

// withCatalog opens the templates of the data directory for one command.
func withCatalog(ctx context.Context, env *Env, f func(c *template.Catalog) error) error {
	opts, err := env.AppOptions()
	if err != nil {
		return err
	}
	c, err := template.Open(ctx, opts.DataDir, template.Options{Log: env.Log(), InUse: app.ImagesInUse(opts)})
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// completeTemplates offers the names of the templates that exist.
func completeTemplates(env *Env) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		err := withCatalog(c.Context(), env, func(t *template.Catalog) error {
			list, err := t.List(c.Context())
			for _, i := range list {
				names = append(names, i.Name)
			}
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func newTemplateLsCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the templates",
		Long: `List the templates: size of the image, languages that can run in it, and how many
warm snapshots were baked from it so far. Snapshots are baked at first use.`,
		Example: `  brig template ls
  brig template ls --json | jq -r '.[].name'`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runTemplateLs(c.Context(), env) },
	}
}

func runTemplateLs(ctx context.Context, env *Env) error {
	if c, err := chosen(env); err != nil || c != nil {
		if err == nil {
			defer c.Close()
			err = templateLsAt(ctx, env, c)
		}
		return err
	}
	return withCatalog(ctx, env, func(c *template.Catalog) error {
		list, err := c.List(ctx)
		if err != nil {
			return err
		}
		if env.JSON {
			return writeJSON(env.Stdout, list)
		}
		t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tSIZE\tSNAPSHOTS\tLANGUAGES\tBUILT\tFROM\tDIGEST")
		for _, i := range list {
			built, snapshots := "-", "-"
			if !i.BuiltAt.IsZero() {
				built = i.BuiltAt.Local().Format("2006-01-02 15:04")
			}
			if i.Warm {
				snapshots = fmt.Sprint(i.Snapshots)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.19s\n", i.Name, api.FormatBytes(i.Bytes), snapshots, strings.Join(i.Languages, " "), built, i.Source, i.Digest)
		}
		return t.Flush()
	})
}

func newTemplateRmCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"remove"},
		Short:   "Remove templates and their snapshots",
		Long: `Remove templates, and their images and warm snapshots unless another name means the
same image. A template that a sandbox or a sandbox's snapshot was made from is not
removed.`,
		Example: `  brig template rm python`,
		Args:    args(1, 1000, "NAME"),

		ValidArgsFunction: completeTemplates(env),
		RunE: func(c *cobra.Command, names []string) error {
			return runTemplateRm(c.Context(), env, names)
		},
	}
}

func runTemplateRm(ctx context.Context, env *Env, names []string) error {
	if c, err := chosen(env); err != nil || c != nil {
		if err == nil {
			defer c.Close()
			err = templateRmAt(ctx, env, c, names)
		}
		return err
	}
	return withCatalog(ctx, env, func(c *template.Catalog) error {
		for _, name := range names {
			if err := c.Remove(ctx, name); err != nil {
				return err
			}
			fmt.Fprintf(env.Stderr, "removed %s\n", name)
		}
		return nil
	})
}
