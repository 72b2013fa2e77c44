package cli

import (
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/repair"
)

type batchRunOptions struct {
	input, output string
	format        string
	template      string
	isolation     isolationFlags
	limits        limitFlags
	per           string
	concurrency   string
	attempts      int
	repair        string
	result        string
	artifacts     []string
	retryFailed   bool
	only          string
	limit         int64
	sample        int64
	seed          uint64
	maxFailures   int64
	dryRun        bool
}

// AddFlags declares the flags of batch run.
func (o *batchRunOptions) AddFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "", "directory of the batch, `DIR`; the same one resumes it")
	f.StringVar(&o.format, "format", "auto", "what INPUT is: items, openai, anthropic, eval or dir")
	f.StringVar(&o.template, "template", "", "root filesystem, a template's `NAME` (default python if it was built, else host)")
	o.isolation.AddFlags(c)
	o.limits.AddFlags(f)
	f.StringVar(&o.per, "per", "item", "how many items share a sandbox: item, `chunk:N` or batch; never of two trust domains")
	f.StringVar(&o.concurrency, "concurrency", "auto", "sandboxes at a time, `N` or auto: by CPUs and free memory")
	f.IntVar(&o.attempts, "attempts", 0, "times that an item may run if its program fails (default 1, with --repair-cmd 3)")
	f.StringVar(&o.repair, "repair-cmd", "", "`COMMAND` that gets a failed item as JSON on stdin and prints better code; run without a shell")
	f.StringVar(&o.result, "result", "required", "what /work/result.json is: required, optional or none")
	f.StringArrayVar(&o.artifacts, "artifacts", nil, "`GLOB` of files below /work to keep, such as 'out/*.png' or '**/*.csv' (repeatable)")
	f.BoolVar(&o.retryFailed, "retry-failed", false, "run the items again whose verdict is not ok")
	f.StringVar(&o.only, "only", "", "run only these custom_ids: `ID,ID,…` or @FILE with one a line")
	f.Int64Var(&o.limit, "limit", 0, "run only the first `N` items")
	f.Int64Var(&o.sample, "sample", 0, "run only `N` items, chosen by --seed")
	f.Uint64Var(&o.seed, "seed", 0, "what --sample chooses by: the same seed, the same items")
	f.Int64Var(&o.maxFailures, "max-failures", 0, "stop after `N` failed items (exit code 4)")
	f.BoolVar(&o.dryRun, "dry-run", false, "only check input, template and host, count the items and estimate memory and time")
	formats := make([]string, 0, len(input.Formats()))
	for _, format := range input.Formats() {
		formats = append(formats, string(format))
	}
	completeWith(c, "format", formats...)
	completeWith(c, "result", string(batch.ResultRequired), string(batch.ResultOptional), string(batch.ResultNone))
	completeWith(c, "per", "item", "chunk:20", "batch")
	completeWith(c, "concurrency", "auto")
}

// batch reads the flags.
func (o batchRunOptions) batch(env *Env) (batch.Options, error) {
	b := batch.Options{
		Input: o.input, Stdin: env.Stdin, Out: outdir.Dir(o.output),
		Template: o.template, Isolation: o.isolation.isolation,
		Attempts: o.attempts, Result: batch.ResultMode(o.result), Artifacts: o.artifacts,
		RetryFailed: o.retryFailed, Limit: o.limit, Sample: o.sample, Seed: o.seed, MaxFailures: o.maxFailures,
		UI: batchUI(env), Log: env.Log(),
	}
	var err error
	if b.Format, err = input.ParseFormat(o.format); err != nil {
		return b, err
	}
	if b.Limits, err = o.limits.Limits(); err != nil {
		return b, err
	}
	if b.Per, err = batch.ParseGranularity(o.per); err != nil {
		return b, err
	}
	if b.Only, err = readIDs(o.only); err != nil {
		return b, err
	}
	if o.concurrency != "auto" {
		if b.Concurrency, err = strconv.Atoi(o.concurrency); err != nil || b.Concurrency < 1 {
			return b, api.Errorf(api.CodeInvalid, "cannot use --concurrency %q: because it is neither auto nor a number above 0", o.concurrency).WithFix("use --concurrency auto")
		}
	}
	if o.repair != "" {
		if b.Repairer, err = repair.NewCommand(o.repair); err != nil {
			return b, err
		}
	}
	return b, nil
}

// readIDs reads "a,b" or "@file". An empty text is no choice.
func readIDs(s string) ([]string, error) {
	split := func(c rune) bool { return c == ',' }
	if file, ok := strings.CutPrefix(s, "@"); ok {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, api.Errorf(api.CodeInvalid, "cannot read --only: because %w", err).WithFix("give a file with one custom_id a line")
		}
		s, split = string(b), func(c rune) bool { return c == '\n' || c == '\r' }
	}
	if s == "" {
		return nil, nil
	}
	ids := strings.FieldsFunc(s, split)
	if len(ids) == 0 {
		return nil, api.Errorf(api.CodeInvalid, "cannot use --only: because no custom_id is in it").WithFix("give custom_ids, or leave --only out")
	}
	return ids, nil
}
