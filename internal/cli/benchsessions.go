package cli

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/bench"
)

const interpreterTemplate = "code-interpreter"

type benchSessionsOptions struct {
	n      int
	output string
}

func newBenchSessionsCommand(env *Env) *cobra.Command {
	var o benchSessionsOptions
	c := &cobra.Command{
		Use:   "sessions",
		Short: "Measure sandboxes that live longer: restore, fork, snapshot, first cell",
		Long: `Measures restores of templates, forks of 1, 8 and 32 children, the pause of a
snapshot and its clone, and the first cell of a code session, and prints ratios
against a cold start in the same run. Templates that are not built are left out.`,
		Example: `  brig bench sessions
  brig bench sessions -n 20 -o report.json`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runBenchSessions(c.Context(), env, o) },
	}
	c.Flags().IntVarP(&o.n, "n", "n", 10, "rounds of each subject")
	c.Flags().StringVarP(&o.output, "output", "o", "", "also write the report as JSON to this file")
	return c
}

func runBenchSessions(ctx context.Context, env *Env, o benchSessionsOptions) error {
	if o.n < 1 {
		return api.Errorf(api.CodeInvalid, "cannot measure %d rounds: because at least one is needed", o.n).WithFix("use -n 10")
	}
	options, err := env.AppOptions()
	if err != nil {
		return err
	}
	a, err := env.Open(ctx, options)
	if err != nil {
		return err
	}
	defer a.Close()
	store, err := app.OpenSnapshots(options)
	if err != nil {
		return err
	}
	defer store.Close()
	built, err := builtTemplates(ctx, a)
	if err != nil {
		return err
	}
	if !slices.Contains(built, "python") {
		return api.Errorf(api.CodeUnavailable, "cannot measure sessions: because there is no template python").WithFix("brig template build python")
	}
	lab := bench.Lab{Host: a.Host, Snapshots: store, Parallel: runtime.NumCPU(), CPU: bench.CPUOf(a.Drivers)}
	report := bench.NewReport(readVersion().Version)
	report.Reference = "cold python"
	report.Rows, err = bench.Measure(ctx, sessionSubjects(lab, built), o.n, benchProgress(env, "rounds"))
	if err != nil {
		return err
	}
	if slices.Contains(built, interpreterTemplate) {
		rows, err := benchPooledCell(ctx, env, o)
		if err != nil {
			return err
		}
		report.Rows = append(report.Rows, rows...)
	}
	return writeReport(env, o.output, report)
}

// benchPooledCell measures the first cell as it is in a server, which keeps one
// session of the template at hand; alone, like benchPool.
func benchPooledCell(ctx context.Context, env *Env, o benchSessionsOptions) ([]bench.Row, error) {
	a, err := openBench(ctx, env, 1)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	s := bench.Lab{Host: a.Host, CPU: bench.CPUOf(a.Drivers)}.FirstCell(interpreterTemplate, false)
	s.Name, s.Means, s.Think = "first cell pooled", "the first cell warm, in a session from a pool of one; a second between rounds", time.Second
	return bench.Measure(ctx, []bench.Subject{s}, o.n, benchProgress(env, "rounds from the pool"))
}

func builtTemplates(ctx context.Context, a *app.App) ([]string, error) {
	list, err := a.Templates.List(ctx)
	var names []string
	for _, t := range list {
		names = append(names, t.Name)
	}
	return names, err
}

// sessionSubjects are in an order in which a clone follows its snapshot.
func sessionSubjects(l bench.Lab, built []string) []bench.Subject {
	subjects := []bench.Subject{l.Restore("python", true), l.Restore("python", false)}
	if slices.Contains(built, interpreterTemplate) {
		subjects = append(subjects, l.Restore(interpreterTemplate, false))
	}
	for _, n := range []int{1, 8, 32} {
		subjects = append(subjects, l.Fork("python", n))
	}
	for _, d := range []bench.Dirty{{Name: "clean"}, {Name: "200+200 MiB", Memory: 200, Disk: 200}} {
		pause, clone := l.Snapshot("python", d)
		subjects = append(subjects, pause, clone)
	}
	if slices.Contains(built, interpreterTemplate) {
		subjects = append(subjects, l.FirstCell(interpreterTemplate, true), l.FirstCell(interpreterTemplate, false))
	}
	return subjects
}
