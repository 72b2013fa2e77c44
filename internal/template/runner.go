package template

import (
	"context"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/egress"
	"github.com/brigdev/brig/internal/guest"
	"github.com/brigdev/brig/internal/netpolicy"
)

// Runner runs one RUN of a Dockerfile in a sandbox of its own.
type Runner interface {
	// Run runs a program to its end. When it succeeded, what it changed in the root
	// filesystem is in j.Changes, as a tar. Output comes while it runs. The error
	// is for a platform that failed; how the program ended is in the result.
	Run(ctx context.Context, j RunJob, stdout, stderr io.Writer) (RunEnd, error)
}

// RunJob is one program of a build.
type RunJob struct {
	Root    driver.RootFS
	Argv    []string
	Env     map[string]string
	Cwd     string
	User    api.User
	Stdin   string
	Limits  api.Limits
	Egress  *api.Egress // what it may reach; nil is nothing
	Changes *os.File    // empty
}

// RunEnd is how it ended.
type RunEnd struct {
	Status uint32 // raw wait status
	OOM    bool   // the sandbox was killed for memory
}

// buildLimits is what one RUN may use when nobody says otherwise.
func buildLimits() api.Limits {
	l := api.DefaultLimits()
	l.MemoryBytes, l.DiskBytes, l.PIDs, l.CPUs = 2<<30, 8<<30, 1024, float64(runtime.NumCPU())
	l.Timeout = 30 * time.Minute
	return l
}

// boxRunner runs them in the boxes of a driver.
type boxRunner struct {
	c *Catalog
	d driver.Driver
}

// runner chooses where RUN runs: in the first driver's boxes that are a real
// boundary and work here.
func (c *Catalog) runner(ctx context.Context, o BuildOptions) (Runner, error) {
	if o.Runner != nil {
		return o.Runner, nil
	}
	var why []string
	for _, d := range o.Drivers {
		if !d.Rung().AtLeast(api.RungGVisor) {
			continue
		}
		if p := d.Probe(ctx); !p.OK {
			why = append(why, d.Name()+": "+p.Reason)
			continue
		}
		return boxRunner{c, d}, nil
	}
	if len(why) == 0 {
		why = []string{"there is no driver of the rung gvisor or a stronger one"}
	}
	return nil, api.Errorf(api.CodeUnavailable, "cannot carry out RUN: because no sandbox can be made here: %s", strings.Join(why, "; ")).
		WithFix("run 'brig doctor'")
}

// Run implements Runner.
func (r boxRunner) Run(ctx context.Context, j RunJob, stdout, stderr io.Writer) (end RunEnd, err error) {
	spec := driver.BoxSpec{Root: j.Root, Limits: j.Limits}
	if j.Egress.Enabled() {
		gateway, link, err := r.c.openGateway(*j.Egress)
		if err != nil {
			return end, err
		}
		defer gateway.Close()
		defer link.File.Close()
		spec.Link = link
	}
	err = r.c.withBox(ctx, r.d, spec, "build-", func(box driver.Box, client *guest.Client) error {
		tarer, ok := box.(driver.UpperTarer)
		if !ok {
			return api.Errorf(api.CodeUnsupported, "cannot carry out RUN: because boxes of the driver %s cannot say what was changed in them", r.d.Name())
		}
		if j.Egress.Enabled() {
			if err := client.Put(ctx, egress.ResolvConfPath, 0o644, strings.NewReader(egress.ResolvConf)); err != nil {
				return err
			}
		}
		req := guest.ExecRequest{
			Flags: guest.ExecAs, Cwd: j.Cwd, Argv: j.Argv, Env: j.Env, NProc: uint32(j.Limits.PIDs), NoFile: uint32(j.Limits.OpenFiles),
			UID: j.User.UID, GID: j.User.GID,
		}
		report, err := client.Exec(ctx, req, guest.Streams{Stdin: strings.NewReader(j.Stdin), Stdout: stdout, Stderr: stderr})
		if err != nil {
			end, err = died(ctx, box, err)
			return err
		}
		if end.Status = report.Status; end.Status != 0 {
			return nil
		}
		// Whatever the program left running must not change files any more.
		if p, ok := box.(driver.Pauser); ok {
			if err := p.Pause(ctx); err != nil {
				return err
			}
		}
		if err := tarer.TarUpper(ctx, j.Changes); err != nil {
			return api.Errorf(api.CodeInvalid, "cannot read what the program changed: %w", err).
				WithFix("a single file may not be larger than the memory of the build: --memory")
		}
		return nil
	})
	return end, err
}

// openGateway makes the network of a RUN that may reach something.
func (c *Catalog) openGateway(e api.Egress) (*egress.Gateway, *driver.Link, error) {
	policy, err := netpolicy.Parse(e)
	if err != nil {
		return nil, nil, err
	}
	o := c.opts.Egress
	o.Log = c.log
	return egress.Open(policy, o)
}

// died tells a box that was killed for memory from one that failed.
func died(ctx context.Context, box driver.Box, err error) (RunEnd, error) {
	if ctx.Err() != nil {
		return RunEnd{}, err
	}
	select {
	case <-box.Done():
	case <-time.After(destroyTimeout):
		return RunEnd{}, err
	}
	if box.Death().OOM {
		return RunEnd{OOM: true}, nil
	}
	return RunEnd{}, err
}
