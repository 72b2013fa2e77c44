package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/brigdev/brig/api"
)

// byteSize is a flag that reads "512MiB".
type byteSize int64

// String is "" for none, so that a help text says nothing of such a default.
func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return api.FormatBytes(int64(*b))
}

// Type is the placeholder in help texts.
func (b *byteSize) Type() string { return "SIZE" }

func (b *byteSize) Set(s string) error {
	n, err := api.ParseBytes(s)
	*b = byteSize(n)
	return err
}

// limitFlags is the budget of one program. Commands that run programs share it.
type limitFlags struct {
	timeout time.Duration
	cpuTime time.Duration
	memory  byteSize
	disk    byteSize
	output  byteSize
	cpus    float64
	pids    int
}

// AddFlags declares the limits with their defaults.
func (l *limitFlags) AddFlags(f *pflag.FlagSet) {
	d := api.DefaultLimits()
	l.memory, l.disk, l.output = byteSize(d.MemoryBytes), byteSize(d.DiskBytes), byteSize(d.OutputBytes)
	f.DurationVar(&l.timeout, "timeout", d.Timeout, "wall-clock `TIME` of the program")
	f.DurationVar(&l.cpuTime, "cpu-time", 0, "processor `TIME` of the program (0 = cpus x timeout)")
	f.Var(&l.memory, "memory", "memory, files in memory included")
	f.Float64Var(&l.cpus, "cpus", d.CPUs, "`CORES`, such as 0.5")
	f.IntVar(&l.pids, "pids", d.PIDs, "`COUNT` of processes and threads at a time")
	f.Var(&l.disk, "disk", "bytes that may be written")
	f.Var(&l.output, "output-limit", "bytes of stdout and stderr together")
}

// Limits is the checked budget. A zero that the user typed is a mistake, never
// "unlimited" and never "the default".
func (l *limitFlags) Limits() (api.Limits, error) {
	out := api.DefaultLimits()
	out.Timeout, out.CPUTime = l.timeout, l.cpuTime
	out.MemoryBytes, out.DiskBytes, out.OutputBytes = int64(l.memory), int64(l.disk), int64(l.output)
	out.CPUs, out.PIDs = l.cpus, l.pids
	return out, out.Validate()
}

// isolationFlags chooses the boundary.
type isolationFlags struct {
	isolation string
	unsafe    bool
}

// AddFlags declares them on c and completes the rungs' names.
func (i *isolationFlags) AddFlags(c *cobra.Command) {
	c.Flags().StringVar(&i.isolation, "isolation", api.IsolationAuto, "boundary, a `RUNG` or auto: the strongest that works here, gvisor or more")
	c.Flags().BoolVar(&i.unsafe, "unsafe-no-isolation", false, "admit --isolation process, which is no boundary at all")
	names := []string{api.IsolationAuto}
	for _, r := range api.Rungs() {
		names = append(names, string(r))
	}
	completeWith(c, "isolation", names...)
}

// completeWith lets a flag be completed with one of values.
func completeWith(c *cobra.Command, flag string, values ...string) {
	mustComplete(c, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// mustComplete registers a completion; a wrong flag name is a bug that every
// test of the tree finds.
func mustComplete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

// parseEnv reads K=V pairs. A bare name is refused: nothing of the caller's
// environment goes inside unless its value was written down.
func parseEnv(pairs []string) (map[string]string, error) {
	env := make(map[string]string, len(pairs))
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" || strings.ContainsRune(p, 0) {
			return nil, api.Errorf(api.CodeInvalid, "cannot read --env %q: because it is not NAME=VALUE", p).
				WithFix("write --env %s=value: variables of the host are never passed on", strings.TrimPrefix(k, "="))
		}
		env[k] = v
	}
	return env, nil
}
