package batch

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/batch/repair"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/store"
)

// ResultMode says what /work/result.json is to an item.
type ResultMode string

// The modes.
const (
	ResultRequired ResultMode = "required" // without it the item is a bad_result
	ResultOptional ResultMode = "optional" // read when it is there
	ResultNone     ResultMode = "none"     // never read
)

// defaultRepairs is how many attempts there are when a repairer is set and
// nobody said how many.
const defaultRepairs = 3

// Options say what to run, how, and with what.
type Options struct {
	Input  string    // a file, a directory, or "-" for Stdin
	Stdin  io.Reader // read when Input is "-"
	Out    outdir.Dir
	Format input.Format // "" is input.Auto

	Template  string
	Isolation string // "" is auto
	Floor     api.Rung
	Limits    api.Limits
	Languages []string // what the template runs; nil when not known

	Per         Granularity
	Concurrency int // 0 chooses by CPUs and memory
	// Attempts is how often an item may run when its program fails; 0 is 1, or
	// 3 with a Repairer.
	Attempts  int
	Repairer  repair.Repairer // nil: an attempt after a failure runs the same code
	Result    ResultMode      // "" is required
	Artifacts []string        // globs below /work: see Glob

	RetryFailed bool     // run items again whose verdict is not ok
	Only        []string // custom_ids; nil is all
	Limit       int64    // the first so many items; 0 is all
	Sample      int64    // so many items, chosen by Seed; 0 is all
	Seed        uint64
	MaxFailures int64 // stop after so many failures in this run; 0 is never

	Host        host.Host
	OpenJournal func(ctx context.Context, dir string) (store.Store, error)
	UI          progress.UI
	// Ask makes the run say now how far it is; nil is never.
	Ask <-chan struct{}
	Log *slog.Logger // nil discards
}

// Granularity is how many items share a sandbox, one after the other. They are
// always of one trust domain.
type Granularity struct {
	// Items is how many; 1 (or 0) is a fresh sandbox for each, negative as many
	// as there are.
	Items int
}

// ParseGranularity reads "item", "chunk:N" or "batch".
func ParseGranularity(s string) (Granularity, error) {
	switch s {
	case "", "item":
		return Granularity{1}, nil
	case "batch":
		return Granularity{-1}, nil
	}
	if n, ok := strings.CutPrefix(s, "chunk:"); ok {
		if n, err := strconv.Atoi(n); err == nil && n > 0 && n <= 1_000_000 {
			return Granularity{n}, nil
		}
	}
	return Granularity{}, api.Errorf(api.CodeInvalid, "cannot read --per %q: because it is not item, chunk:N or batch", s).
		WithFix("use --per item, or --per chunk:20 for a fresh sandbox every 20 items")
}

func (g Granularity) String() string {
	switch {
	case g.Items < 0:
		return "batch"
	case g.Items <= 1:
		return "item"
	}
	return "chunk:" + strconv.Itoa(g.Items)
}

// shared tells whether a sandbox runs more than one item.
func (g Granularity) shared() bool { return g.Items < 0 || g.Items > 1 }

// withDefaults fills what is zero and says what makes no sense.
func (o Options) withDefaults() (Options, error) {
	if o.Attempts == 0 {
		o.Attempts = 1
		if o.Repairer != nil {
			o.Attempts = defaultRepairs
		}
	}
	if o.Result == "" {
		o.Result = ResultRequired
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.UI == nil {
		o.UI = progress.NewPlain(io.Discard, io.Discard)
	}
	o.Limits = o.Limits.WithDefaults()
	if o.Concurrency == 0 {
		o.Concurrency = autoConcurrency(o.Limits)
	}
	for _, g := range o.Artifacts {
		if _, err := ParseGlob(g); err != nil {
			return o, err
		}
	}
	switch {
	case o.Result != ResultRequired && o.Result != ResultOptional && o.Result != ResultNone:
		return o, invalid("--result", string(o.Result), "it is not required, optional or none", "--result required")
	case o.Attempts < 1 || o.Attempts > 100:
		return o, invalid("--attempts", strconv.Itoa(o.Attempts), "the range is 1 to 100", "--attempts 3")
	case o.Concurrency < 1 || o.Concurrency > 100_000:
		return o, invalid("--concurrency", strconv.Itoa(o.Concurrency), "the range is 1 to 100000", "--concurrency auto")
	case o.Limit < 0:
		return o, invalid("--limit", strconv.FormatInt(o.Limit, 10), "it is negative", "a positive number, or leave it out")
	case o.Sample < 0:
		return o, invalid("--sample", strconv.FormatInt(o.Sample, 10), "it is negative", "a positive number, or leave it out")
	case o.MaxFailures < 0:
		return o, invalid("--max-failures", strconv.FormatInt(o.MaxFailures, 10), "it is negative", "a positive number, or leave it out")
	case o.Sample > 10_000_000:
		return o, invalid("--sample", strconv.FormatInt(o.Sample, 10), "the most is 10000000", "a smaller number, or leave it out")
	case o.Out == "":
		return o, invalid("--output", "", "no directory is named", "-o DIR")
	}
	return o, o.Limits.Validate()
}

// Check says what of o makes no sense, before anything is done. CodeInvalid.
func (o Options) Check() error {
	_, err := o.withDefaults()
	return err
}

func invalid(flag, value, because, use string) error {
	return api.Errorf(api.CodeInvalid, "cannot use %s %s: because %s", flag, value, because).WithFix("use %s", use)
}

// meta is what a second run in the same directory must have in common.
func (o Options) meta(id outdir.Identity, format input.Format) outdir.Meta {
	l := o.Limits
	return outdir.Meta{
		Input: id,
		Options: map[string]string{
			"--template": o.Template, "--isolation": o.Isolation, "--format": string(format),
			"--per": o.Per.String(), "--result": string(o.Result), "--artifacts": strings.Join(o.Artifacts, " "),
		},
		Limits: map[string]string{
			"--timeout": l.Timeout.String(), "--cpu-time": l.CPUTime.String(),
			"--memory": api.FormatBytes(l.MemoryBytes), "--disk": api.FormatBytes(l.DiskBytes),
			"--output-limit": api.FormatBytes(l.OutputBytes), "--pids": strconv.Itoa(l.PIDs),
			"--cpus": strconv.FormatFloat(l.CPUs, 'g', -1, 64),
		},
	}
}
