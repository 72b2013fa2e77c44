package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/template"
)

func newBatchRunCommand(env *Env) *cobra.Command {
	var o batchRunOptions
	c := &cobra.Command{
		Use:   "run INPUT -o DIR",
		Short: "Run a batch, or resume it",
		Long: `Run every item of INPUT in a sandbox of its own. INPUT is a file, a directory of
programs (custom_id is the path, the extension says the language), or - for
stdin, which is read to its end first. A file has one record a line:

  items      {"custom_id", "code", "language"?, "input"?, "files"?, "trust"?,
             "timeout_seconds"?}
  openai     output file of an OpenAI batch: the code block of each answer
  anthropic  results of an Anthropic message batch: the same
  eval       HumanEval or MBPP records: the solution against its tests

Records that are no items are reported in rejected.jsonl and stop nothing.

Inside, /work/input.json has the item's input, /work/run.<ext> is its code, and
the result is what the program leaves as JSON in /work/result.json.

The same command again resumes: what has a result is not run again. An item
that was running when brig was killed runs again; one that is lost so five
times is given up with the verdict infra. With --json, events go to stdout.
SIGUSR1 makes a run say how far it is. Ctrl-C stops it, resumably.

With BRIG_API set, that server runs the batch, DIR gets what it leaves, and the same
command follows it again. Ctrl-C leaves it running there.

Exit codes:
  0    every item is ok
  3    finished, and some items failed or some records were rejected
  4    stopped early (Ctrl-C, full disk, --max-failures): the same command resumes
  2    bad flags, an input that can't be read, a template that does not exist
  125  Brig or this host failed`,
		Example: `  brig batch run items.jsonl -o out
  brig batch run answers.jsonl -o out --format openai --artifacts 'out/*.png'
  brig batch run items.jsonl -o out --retry-failed --repair-cmd './fix.py --model small'
  brig batch run items.jsonl -o trial --sample 20 --timeout 5s`,
		Args: args(1, 1, "INPUT"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.output == "" && !o.dryRun {
				return usageErrorf(c, "-o DIR is missing")
			}
			o.input = args[0]
			return runBatchRun(c.Context(), env, o)
		},
	}
	o.AddFlags(c)
	return c
}

func runBatchRun(ctx context.Context, env *Env, o batchRunOptions) (err error) {
	opts, err := o.batch(env)
	if err != nil {
		return err
	}
	if c, err := chosen(env); err != nil || c != nil {
		if err != nil {
			return err
		}
		defer c.Close()
		if o.dryRun { // what the server can run is for it to say
			return runBatchDryRun(ctx, env, opts)
		}
		return runBatchRemote(ctx, env, c, o, opts)
	}
	appOpts, err := env.AppOptions()
	if err != nil {
		return err
	}
	appOpts.Unsafe = o.isolation.unsafe
	brig, err := env.Open(ctx, appOpts)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := brig.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := chooseBatchTemplate(ctx, brig.Templates, &opts); err != nil {
		return err
	}
	opts.Host = brig.Host
	if o.dryRun {
		return runBatchDryRun(ctx, env, opts)
	}
	opts.OpenJournal = func(ctx context.Context, dir string) (store.Store, error) {
		return app.OpenJournal(ctx, dir, env.Log())
	}
	ask, quiet := onUserSignal(ctx)
	defer quiet()
	opts.Ask = ask
	summary, err := batch.Run(ctx, opts)
	if err != nil {
		return err
	}
	return exitWith(batchExitCode(summary))
}

func batchExitCode(s progress.Summary) int {
	switch {
	case s.State != progress.Finished:
		return exitStopped
	case s.Failed > 0 || s.Rejected > 0:
		return exitFailed
	}
	return exitOK
}

// chooseBatchTemplate fills the default, and tells the batch what languages the
// template has. It fails when there is no such template.
func chooseBatchTemplate(ctx context.Context, templates *template.Catalog, o *batch.Options) error {
	var err error
	o.Template, o.Languages, err = app.BatchTemplate(ctx, templates, o.Template)
	return err
}

func runBatchDryRun(ctx context.Context, env *Env, o batch.Options) error {
	e, err := batch.DryRun(ctx, o)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, e)
	}
	return printEstimate(env.Stdout, e)
}

func printEstimate(w io.Writer, e batch.Estimate) error {
	_, err := fmt.Fprintf(w, `input      %s (%s)
items      %d, of which %d would run and %d have a result
rejected   %d
sandboxes  %d at a time, up to %s together
time       %s if programs took none, %s if each ran into its timeout
`, e.Input, e.Format, e.Items, e.Selected, e.Done, e.Rejected, e.Concurrency, api.FormatBytes(e.MemoryBytes), seconds(e.LeastSeconds), seconds(e.MostSeconds))
	return err
}

// seconds prints a length of time, to the second.
func seconds(s float64) string {
	return (time.Duration(s*float64(time.Second)) + time.Second/2).Truncate(time.Second).String()
}
