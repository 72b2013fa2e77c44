package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/outdir"
)

func newBatchShowCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "show DIR ID",
		Short: "Show one item: its code, attempts and output",
		Long: `Show one item of the batch in DIR: verdict, attempts, code and what the program
printed. The code is read from the batch's input, which must still be where it
was. What could steer a terminal is shown as a question mark; --json has every
byte.`,
		Example: `  brig batch show out item-17
  brig batch show out item-17 --json`,
		Args: args(2, 2, "DIR and ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return runBatchShow(c.Context(), env, outdir.Dir(args[0]), args[1])
		},
	}
}

func runBatchShow(ctx context.Context, env *Env, dir outdir.Dir, id string) error {
	r, err := showOf(ctx, env, dir, id)
	if err != nil {
		return err
	}
	if env.JSON {
		return writeJSON(env.Stdout, r)
	}
	// The text is put together first, so that one write fails or none does.
	var b strings.Builder
	showItem(&b, r)
	_, err = io.WriteString(env.Stdout, b.String())
	return err
}

func showItem(w io.Writer, r batch.ItemReport) {
	fmt.Fprintf(w, "%s\n", safeText(r.CustomID))
	switch {
	case r.Result != nil:
		showResult(w, *r.Result)
	case r.Rejected != nil:
		fmt.Fprintf(w, "rejected   line %d: %s\n", r.Rejected.Line, safeText(r.Rejected.Reason))
		return
	default:
		fmt.Fprintf(w, "verdict    none yet\n")
	}
	section(w, "code", r.Code)
	if r.NoCode != "" {
		fmt.Fprintf(w, "\n%s\n", safeText(r.NoCode))
	}
	if r.Result == nil {
		return
	}
	for i, a := range r.Result.Attempts {
		if a.Code != "" {
			section(w, fmt.Sprintf("code of attempt %d, repaired", i+1), a.Code)
		}
		if i+1 < len(r.Result.Attempts) {
			section(w, fmt.Sprintf("stderr of attempt %d", i+1), a.Stderr)
		}
	}
	section(w, "stdout", r.Result.Stdout)
	section(w, "stderr", r.Result.Stderr)
}

func showResult(w io.Writer, r api.ItemResult) {
	fmt.Fprintf(w, "verdict    %s\n", r.Verdict)
	if r.ExitCode != nil {
		fmt.Fprintf(w, "exit code  %d\n", *r.ExitCode)
	}
	if r.Signal != nil {
		fmt.Fprintf(w, "signal     %s\n", safeText(*r.Signal))
	}
	if r.Error != nil {
		fmt.Fprintf(w, "error      %s\nfix        %s\n", safeText(oneLine(r.Error.Message)), safeText(oneLine(r.Error.Fix)))
	}
	if r.Evidence.Reason != "" {
		fmt.Fprintf(w, "reason     %s\n", safeText(r.Evidence.Reason))
	}
	if r.OK {
		fmt.Fprintf(w, "result     %s\n", clipText(safeText(string(r.Result)), 400))
	}
	u := r.Usage
	fmt.Fprintf(w, "usage      %d ms, %d ms of processor, %s of memory\n", u.WallMS, u.CPUMS, api.FormatBytes(u.PeakMemoryBytes))
	fmt.Fprintf(w, "ran in     %s, template %s, sandbox %s\n", r.Isolation, r.Template, r.Sandbox)
	for i, a := range r.Attempts {
		fmt.Fprintf(w, "attempt %d  %s in %d ms\n", i+1, a.Verdict, a.WallMS)
	}
	for _, a := range r.Artifacts {
		fmt.Fprintf(w, "artifact   %s (%s)\n", safeText(a.Path), api.FormatBytes(a.Bytes))
	}
}

// section prints a text under its name; an empty one is left out.
func section(w io.Writer, name, text string) {
	if text != "" {
		fmt.Fprintf(w, "\n--- %s\n%s\n", name, strings.TrimRight(safeText(text), "\n"))
	}
}

// safeText keeps lines and tabs, and shows what else is not printable as a
// question mark: a program's words must not steer a terminal.
func safeText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

func clipText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
