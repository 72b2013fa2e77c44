package cli

import (
	"context"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/mcp"
)

func newMCPCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "mcp",
		Short: "Offer sandboxes to a language model, over stdin and stdout",
		Long: `Speak the Model Context Protocol over stdin and stdout: tools that make sandboxes,
run code and commands in them, and read and write their files. Programs with a
language model in them start it; nobody types into it.

The sandboxes belong to the server that BRIG_API (with BRIG_API_KEY) names, else to
this user's own, and live until their time is over or the model destroys them. A
server offers the same tools over streamable HTTP, at /mcp, with a key.`,
		Example: `  brig mcp
  BRIG_API=https://brig.example.com BRIG_API_KEY=brig_… brig mcp`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runMCP(c.Context(), env) },
	}
}

func runMCP(ctx context.Context, env *Env) error {
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	log := slog.New(slog.DiscardHandler)
	if env.Verbose {
		log = slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	err = mcp.New(readVersion().Version, log).Run(ctx, c, io.NopCloser(env.Stdin), unclosed{env.Stdout})
	if err != nil && ctx.Err() == nil {
		return api.Errorf(api.CodeInvalid, "cannot go on with MCP on stdin and stdout: because %v", err).
			WithFix("have a program start it that speaks the Model Context Protocol: see docs/mcp.md")
	}
	return err
}

// unclosed is a stream that is not the command's to close.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }
