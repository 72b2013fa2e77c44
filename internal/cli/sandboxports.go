package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

func newSandboxPortsCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "ports ID",
		Short: "List a sandbox's ports",
		Long:  "List the TCP ports that something in the sandbox listens on, and those that were named.",
		Example: `  brig sandbox ports ID
  brig sandbox ports ID --json | jq -r '.[].proxy_url'`,
		Args: args(1, 1, "one sandbox (ID)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error { return runSandboxPorts(c.Context(), env, args[0]) },
	}
}

func runSandboxPorts(ctx context.Context, env *Env, id string) error {
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	list, err := sb.Ports(ctx)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, list)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PORT\tLISTENS\tWHO\tLABEL")
	for _, p := range list {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", p.Port, map[bool]string{true: "yes", false: "no"}[p.Listening],
			map[bool]string{true: "everybody", false: "owner"}[p.Public], dash(oneLine(p.Label)))
	}
	return t.Flush()
}

func newSandboxForwardCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "forward ID [LOCAL:]PORT",
		Short: "Reach a port of a sandbox on this machine",
		Long: `Listen on a port of this machine's loopback and pass connections on to a port of
the sandbox, until interrupted. LOCAL is the same number if it is left out, and 0 is
one that is free. The address is printed on stdout.`,
		Example: `  brig sandbox forward ID 8080
  brig sandbox forward ID 9000:8080`,
		Args: args(2, 2, "one sandbox and one port (ID [LOCAL:]PORT)"), ValidArgsFunction: completeSandboxes(env),
		RunE: func(c *cobra.Command, args []string) error {
			return runSandboxForward(c.Context(), env, args[0], args[1])
		},
	}
}

func runSandboxForward(ctx context.Context, env *Env, id, ports string) error {
	local, port, err := parseForward(ports)
	if err != nil {
		return err
	}
	sb, err := sandboxOf(ctx, env, id)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(local)))
	if err != nil {
		return api.Errorf(api.CodeUnavailable, "cannot listen on port %d of this machine: because %w", local, err).
			WithFix("choose another one: brig sandbox forward %s 0:%d", id, port)
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	if _, err := fmt.Fprintln(env.Stdout, l.Addr()); err != nil {
		return err
	}
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return api.Errorf(api.CodeUnavailable, "cannot take a connection: because %w", err).WithFix("run the command again")
		}
		conns.Go(func() {
			if err := forward(ctx, sb, port, c); err != nil && ctx.Err() == nil {
				fmt.Fprintln(env.Stderr, "brig:", err)
			}
		})
	}
}

// parseForward reads [LOCAL:]PORT.
func parseForward(s string) (local, port int, err error) {
	first, second, found := strings.Cut(s, ":")
	if !found {
		second = first
	}
	l, err := strconv.ParseUint(first, 10, 16)
	p, err2 := strconv.ParseUint(second, 10, 16)
	if err != nil || err2 != nil || p == 0 {
		return 0, 0, api.Errorf(api.CodeInvalid, "cannot forward %q: because it is not a port, or two with a colon between", s).WithFix("write it like 8080 or 9000:8080")
	}
	return int(l), int(p), nil
}

// forward passes one connection on, until both sides have said all, one of them is
// gone, or ctx ends.
func forward(ctx context.Context, sb *client.Sandbox, port int, outside net.Conn) error {
	defer outside.Close()
	inside, err := sb.Dial(ctx, port)
	if err != nil {
		return err
	}
	defer inside.Close()
	defer context.AfterFunc(ctx, func() { outside.Close(); inside.Close() })()
	said := make(chan struct{})
	go func() {
		defer close(said)
		_, _ = io.Copy(inside, outside) // one that is gone ends the other copy too
		if half, ok := inside.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.Copy(outside, inside)
	outside.Close()
	<-said
	return nil
}
