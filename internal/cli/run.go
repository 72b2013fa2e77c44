package cli

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/host"
)

// destroyTimeout bounds the clean-up of one sandbox after the command is over
// or was interrupted.
const destroyTimeout = 30 * time.Second

type runOptions struct {
	template  string
	isolation isolationFlags
	limits    limitFlags
	env       []string
	egress    []string
	input     string
	code      string
	language  string
	copyIn    []string
	copyOut   []string
	argv      []string
}

// AddFlags declares the flags of run.
func (o *runOptions) AddFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.template, "template", "", "root filesystem, a template's `NAME` (default host for a command, python for --code in Python if it was built)")
	o.isolation.AddFlags(c)
	o.limits.AddFlags(f)
	f.StringArrayVar(&o.env, "env", nil, "variable `NAME=VALUE` for the program (repeatable)")
	f.StringSliceVar(&o.egress, "allow-egress", nil, "let the program reach these and nothing else, `HOST[:PORT],…`: names, *.names, addresses, ranges (see docs/egress.md)")
	f.StringVar(&o.input, "input", "", "`FILE` that becomes /work/input.json")
	f.StringVar(&o.code, "code", "", "`FILE` that becomes /work/run.<ext> and is run; - is stdin")
	f.StringVar(&o.language, "language", "", "`LANGUAGE` of --code: python, sh, bash, node, … (default by extension, else python)")
	f.StringArrayVar(&o.copyIn, "copy-in", nil, "copy a host file or directory inside first, `SRC:DST` (repeatable)")
	f.StringArrayVar(&o.copyOut, "copy-out", nil, "copy a file or directory inside to the host afterwards, `SRC:DST`; into DST if that is a directory (repeatable)")
	completeWith(c, "language", input.Languages()...)
}

func newRunCommand(env *Env) *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run [flags] [-- CMD ARG...]",
		Short: "Run one program in a fresh sandbox",
		Long: `Run one program in a fresh sandbox and destroy the sandbox.

The program starts in /work, without network (but for --allow-egress), without
the caller's environment and without any file of the host but the read-only
template. Its stdin, stdout
and stderr are the caller's, byte for byte. Relative paths inside are below
/work.

Exit codes:
  0          the program exited 0
  its own    the program exited by itself
  128+n      the program died of signal n
  122        pids: it hit --pids              123  disk_full: it hit --disk
  124        timeout: it hit --timeout        137  oom: it hit --memory
  152        cpu_time: it hit --cpu-time      153  output_limit: it hit --output-limit
  130        cancelled by Ctrl-C              141  nobody read stdout any more
  2          bad flags, or a name that does not exist
  125        Brig or this host failed

The verdict in --json is exact where codes overlap.

With BRIG_API set, the sandbox is that server's; files are copied from and to here.`,
		Example: `  brig run -- echo hello
  brig run --code script.py --input data.json --copy-out out:./out
  echo 'print(input())' > echo.py; echo hi | brig run --code echo.py
  brig run --timeout 5s --memory 256MiB --json -- sh -c 'yes > /dev/null'`,
		Args: func(c *cobra.Command, got []string) error {
			if c.ArgsLenAtDash() > 0 || (len(got) > 0 && c.ArgsLenAtDash() < 0) {
				return usageErrorf(c, "%q comes before --: the program goes after it", got[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.argv = args
			return runRun(c.Context(), env, o)
		},
	}
	o.AddFlags(c)
	return c
}

// runRun checks everything that can be checked without a sandbox, and only then
// makes one.
func runRun(ctx context.Context, env *Env, o runOptions) error {
	job, err := newRunJob(env, o)
	if err != nil {
		return err
	}
	if c, err := chosen(env); err != nil || c != nil {
		if err == nil {
			defer c.Close()
			err = job.runAt(ctx, env, remoteMaker{c}, o.isolation.unsafe)
		}
		return err
	}
	opts, err := env.AppOptions()
	if err != nil {
		return err
	}
	opts.Unsafe = o.isolation.unsafe
	brig, err := env.Open(ctx, opts)
	if err != nil {
		return err
	}
	end, err := job.run(ctx, env, func(ctx context.Context) (host.Sandbox, error) {
		if err := job.chooseTemplate(ctx, brig.Templates); err != nil {
			return nil, err
		}
		return brig.Host.Create(ctx, job.spec)
	})
	if closeErr := brig.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return job.report(env, end)
}

// runEnd is what there is to say when the sandbox is gone.
type runEnd struct {
	info   api.SandboxInfo
	result api.ExecResult
	stdout io.Writer
	stderr io.Writer
}

// runAt runs the job at a server.
func (j *runJob) runAt(ctx context.Context, env *Env, m remoteMaker, unsafe bool) error {
	if unsafe {
		return notRemote("--unsafe-no-isolation")
	}
	end, err := j.run(ctx, env, func(ctx context.Context) (host.Sandbox, error) { return m.create(ctx, j) })
	if err != nil {
		return err
	}
	return j.report(env, end)
}

// run is the sandbox's whole life: create, put, exec, copy out, destroy.
func (j *runJob) run(ctx context.Context, env *Env, create func(context.Context) (host.Sandbox, error)) (end runEnd, err error) {
	box, err := create(ctx)
	if err != nil {
		return end, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
		defer cancel()
		err = errors.Join(err, box.Destroy(ctx))
	}()
	end.info = box.Info()
	if err := j.putFiles(ctx, env, box); err != nil {
		return end, err
	}
	var stdio host.Stdio
	stdio, end.stdout, end.stderr = j.stdio(env)
	if end.result, err = box.Exec(ctx, j.exec, stdio); err != nil {
		return end, err
	}
	return end, j.fetchFiles(ctx, env, box, end.result.Verdict)
}
