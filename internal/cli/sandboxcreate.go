package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
)

type sandboxCreateOptions struct {
	template   string
	snapshot   string
	name       string
	ttl        time.Duration
	idle       time.Duration
	persistent bool
	metadata   []string
	env        []string
	isolation  string
	egress     []string
	memory     byteSize
	disk       byteSize
	cpus       float64
	pids       int
}

// AddFlags declares the flags of sandbox create.
func (o *sandboxCreateOptions) AddFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.template, "template", "", "root filesystem, a template's `NAME` (default base, python or host, the first that exists)")
	f.StringVar(&o.snapshot, "from-snapshot", "", "`ID` or name of a snapshot to start from, with its limits, instead of a template")
	f.StringVar(&o.name, "name", "", "`NAME` to call it by")
	f.DurationVar(&o.ttl, "ttl", time.Hour, "wall-clock `TIME` after which it is destroyed, whatever it does")
	f.DurationVar(&o.idle, "idle-timeout", 0, "`TIME` without use after which it is destroyed (0 = never)")
	f.BoolVar(&o.persistent, "persistent", false, "hibernate at --idle-timeout instead")
	f.StringArrayVar(&o.metadata, "metadata", nil, "`KEY=VALUE` for you; Brig gives it no meaning (repeatable)")
	f.StringArrayVar(&o.env, "env", nil, "variable `NAME=VALUE` for every program in it (repeatable)")
	f.StringVar(&o.isolation, "isolation", api.IsolationAuto, "boundary, a `RUNG` or auto: the strongest that works there, gvisor or more")
	f.StringSliceVar(&o.egress, "allow-egress", nil, "let its programs reach these and nothing else, `HOST[:PORT],…`: names, *.names, addresses, ranges (see docs/egress.md)")
	d := api.DefaultLimits()
	o.memory, o.disk = byteSize(d.MemoryBytes), byteSize(d.DiskBytes)
	f.Var(&o.memory, "memory", "memory, files in memory included")
	f.Float64Var(&o.cpus, "cpus", d.CPUs, "`CORES`, such as 0.5")
	f.IntVar(&o.pids, "pids", d.PIDs, "`COUNT` of processes and threads at a time")
	f.Var(&o.disk, "disk", "bytes that may be written")
}

func newSandboxCreateCommand(env *Env) *cobra.Command {
	var o sandboxCreateOptions
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a sandbox and print its id",
		Long: `Make a sandbox and print its id. It has no network but what
--allow-egress lists, a hard budget and a deadline,
and answers when the command returns.`,
		Example: `  brig sandbox create --template python --ttl 30m
  brig sandbox create --from-snapshot warmed --name worker
  brig sandbox create --persistent --idle-timeout 10m --ttl 168h`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runSandboxCreate(c.Context(), env, o) },
	}
	o.AddFlags(c)
	return c
}

func runSandboxCreate(ctx context.Context, env *Env, o sandboxCreateOptions) error {
	req, err := o.request()
	if err != nil {
		return err
	}
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	sb, err := c.Sandboxes.Create(ctx, req)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, sb.Info)
	}
	_, err = fmt.Fprintln(env.Stdout, sb.ID)
	return err
}

// request checks the options.
func (o sandboxCreateOptions) request() (api.CreateRequest, error) {
	req := api.CreateRequest{
		Template: o.template, FromSnapshot: o.snapshot, Name: o.name, TTLSeconds: o.ttl.Seconds(),
		IdleTimeoutSeconds: o.idle.Seconds(), Persistent: o.persistent, Isolation: o.isolation,
		Limits: api.Resources{MemoryBytes: int64(o.memory), CPUs: o.cpus, PIDs: o.pids, DiskBytes: int64(o.disk)},
	}
	if o.template != "" && o.snapshot != "" {
		return req, api.Errorf(api.CodeInvalid, "cannot create: because there are a template and a snapshot").WithFix("leave one of them out")
	}
	if o.ttl <= 0 {
		return req, api.Errorf(api.CodeInvalid, "cannot use --ttl %s: because nothing lives so shortly", o.ttl).WithFix("use --ttl 1h")
	}
	if len(o.egress) > 0 {
		req.Egress = &api.Egress{Mode: api.EgressAllow, Allow: o.egress}
	}
	var err error
	if req.Env, err = parseEnv(o.env); err != nil {
		return req, err
	}
	req.Metadata = map[string]string{}
	for _, pair := range o.metadata {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return req, api.Errorf(api.CodeInvalid, "cannot read --metadata %q: because it is not KEY=VALUE", pair).WithFix("write --metadata job=17")
		}
		req.Metadata[k] = v
	}
	return req, nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
