package cli

import "github.com/spf13/cobra"

func newBatchCommand(env *Env) *cobra.Command {
	c := newGroup(&cobra.Command{
		Use:   "batch",
		Short: "Run many items, each in a fresh sandbox, with one result for each",
		Long: `Run many items, each in a fresh sandbox, and get exactly one result for each,
whatever crashes. A batch lives in its output directory:

  DIR/results.jsonl     one line per item, in the order in which they ended;
                        join it with the input by custom_id
  DIR/rejected.jsonl    records of the input that are no items, and why
  DIR/summary.json      how the latest run ended
  DIR/artifacts/ID/     files that programs made (--artifacts)
  DIR/.brig/            journal and progress`,
		Example: `  brig batch run items.jsonl -o out
  brig batch status out
  brig batch show out item-17`,
	})
	c.AddCommand(newBatchRunCommand(env), newBatchStatusCommand(env), newBatchShowCommand(env), newBatchLsCommand(env), newBatchCancelCommand(env))
	return c
}
