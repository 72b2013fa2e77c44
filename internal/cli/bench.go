package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/bench"
)

type benchOptions struct {
	N        int
	Items    int
	Vs       []string
	Template string
	Output   string
	Pool     bool
}

// AddFlags declares the flags.
func (o *benchOptions) AddFlags(f *pflag.FlagSet) {
	f.IntVarP(&o.N, "n", "n", 50, "items of each subject")
	f.IntVar(&o.Items, "items", 200, "items for the batch engine; 0 leaves it out")
	f.StringSliceVar(&o.Vs, "vs", nil, "other tools to measure in turns: runc,bwrap,runsc")
	f.StringVar(&o.Template, "template", "python", "template with a warm Python")
	f.StringVarP(&o.Output, "output", "o", "", "also write the report as JSON to this file")
}

func newBenchCommand(env *Env) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure this host: latency, throughput and CPU per item, beside other tools",
		Long: `Measures what a client sees: one fresh sandbox per item, from nothing to
destroyed, with processor time from the kernel's accounting. With --vs it runs
other tools on the same item in turns and prints ratios. Nothing else should
run on the machine meanwhile.`,
		Example: `  brig bench
  brig bench -n 100 --vs runc,bwrap,runsc
  brig bench --json -o report.json`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runBench(c.Context(), env, o) },
	}
	o.AddFlags(c.Flags())
	completeWith(c, "vs", bench.Peers()...)
	c.AddCommand(newBenchSessionsCommand(env), newBenchAPICommand(env))
	return c
}

func runBench(ctx context.Context, env *Env, o benchOptions) error {
	if o.N < 1 || o.Items < 0 {
		return api.Errorf(api.CodeInvalid, "cannot measure %d items: because at least one is needed", o.N).WithFix("use -n 50")
	}
	for _, name := range o.Vs {
		if !slices.Contains(bench.Peers(), name) {
			return api.Errorf(api.CodeInvalid, "cannot measure %q: because Brig knows no such tool", name).WithFix("use --vs %s", strings.Join(bench.Peers(), ","))
		}
	}
	report := bench.NewReport(readVersion().Version)
	rows, err := benchLatency(ctx, env, o)
	if err != nil {
		return err
	}
	report.Rows, report.Reference = rows, "brig python warm"
	if o.Items > 0 {
		if report.Batch, err = benchBatch(ctx, env, o); err != nil {
			return err
		}
	}
	return writeReport(env, o.Output, report)
}

func writeReport(env *Env, output string, report bench.Report) error {
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if output != "" {
		if err := os.WriteFile(output, b, 0o644); err != nil {
			return api.Errorf(api.CodeInvalid, "cannot write the report: %w", err).WithFix("give a file that you can write with -o")
		}
	}
	if env.JSON {
		_, err = env.Stdout.Write(b)
		return err
	}
	return report.Print(env.Stdout)
}

// benchLatency measures single items: two Brigs, one with a pool, and the peers.
func benchLatency(ctx context.Context, env *Env, o benchOptions) ([]bench.Row, error) {
	plain, err := openBench(ctx, env, 0)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	if _, err := plain.Templates.Resolve(ctx, o.Template); err != nil {
		return nil, err
	}
	cpu := bench.CPUOf(plain.Drivers)
	spec := api.SandboxSpec{Template: o.Template, Isolation: api.IsolationAuto, Limits: api.DefaultLimits()}
	warm := spec
	warm.Warm = "python"
	subjects := []bench.Subject{
		bench.Command("brig true cold", plain.Host, cpu, o.Template, "/bin/true"),
		bench.Python("brig python cold", "cold boot, python3 starts inside, the item, destroy", plain.Host, cpu, spec),
		bench.Python("brig python warm", "restore of the baked interpreter, the item in place, destroy", plain.Host, cpu, warm),
	}
	var peers []bench.Subject
	defer func() {
		for _, p := range peers {
			p.Close()
		}
	}()
	for _, name := range o.Vs {
		ways, err := bench.NewPeers(name)
		peers = append(peers, ways...)
		if err != nil {
			return nil, err
		}
	}
	rows, err := bench.Measure(ctx, append(subjects, peers...), o.N, benchProgress(env, "items in turns"))
	if err != nil {
		return nil, err
	}
	pooled, err := benchPool(ctx, env, o, warm)
	return slices.Insert(rows, len(subjects), pooled...), err
}

// benchPool measures a burst that the pool can serve: with pauses in which it
// fills up again, and alone, because filling it takes the processor.
func benchPool(ctx context.Context, env *Env, o benchOptions, spec api.SandboxSpec) ([]bench.Row, error) {
	a, err := openBench(ctx, env, 2)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	s := bench.Python("brig python pool", "the item in a sandbox that was restored before it was asked for, 200 ms between items; the CPU of the restore is in", a.Host, bench.CPUOf(a.Drivers), spec)
	s.Think = 200 * time.Millisecond
	return bench.Measure(ctx, []bench.Subject{s}, o.N, benchProgress(env, "items from the pool"))
}

func openBench(ctx context.Context, env *Env, pool int) (*app.App, error) {
	options, err := env.AppOptions()
	if err != nil {
		return nil, err
	}
	options.PoolSize = pool
	return env.Open(ctx, options)
}

func benchProgress(env *Env, what string) func(done, total int) {
	return func(done, total int) {
		if done%25 == 0 || done == total {
			fmt.Fprintf(env.Stderr, "brig: %s: %d of %d\n", what, done, total)
		}
	}
}

// benchBatch runs the batch command itself, as a user would.
func benchBatch(ctx context.Context, env *Env, o benchOptions) (*bench.Throughput, error) {
	dir, err := os.MkdirTemp("", "brig-bench-batch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	input := filepath.Join(dir, "items.jsonl")
	if err := writeBenchItems(input, o.Items); err != nil {
		return nil, err
	}
	fmt.Fprintf(env.Stderr, "brig: batch of %d items\n", o.Items)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "batch", "run", input, "-o", filepath.Join(dir, "out"), "--template", o.Template)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	boxes := bench.NewMeter(cmd)
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, api.Errorf(api.CodeInternal, "cannot measure the batch engine: %w: %.500s", err, out.String())
	}
	took := time.Since(start)
	return &bench.Throughput{
		Items: o.Items, Concurrency: "auto", Seconds: took.Seconds(),
		PerSecond: float64(o.Items) / took.Seconds(), CPUMS: boxes() / float64(o.Items),
	}, nil
}

func writeBenchItems(path string, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for i := range n {
		if err := json.NewEncoder(w).Encode(bench.Item(i)); err != nil {
			return err
		}
	}
	return w.Flush()
}
