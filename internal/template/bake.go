package template

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// Of a bake: how long it may take, with a warm-up script, and how much of a
// failed program's last words is shown.
const (
	bakeTimeout   = 60 * time.Second
	scriptTimeout = 10 * time.Minute
	lastWords     = 2000
)

type bakeSpec struct {
	t    Template
	d    driver.Driver
	l    api.Limits
	kind string
	rec  Record
}

// bake boots a box, warms it up, and keeps the box's memory in dir when its
// interpreter waits for work. It gives the kernels that run in there.
func (c *Catalog) bake(ctx context.Context, s bakeSpec, dir string) (kernels []api.KernelRef, err error) {
	patience := bakeTimeout
	if s.rec.WarmScript != "" {
		patience += scriptTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience,
		api.Errorf(api.CodeInternal, "cannot bake the template %s: because its interpreter was not ready within %s", s.t.Name, patience).
			WithFix("name fewer modules: 'brig template build %s --warm …'", s.t.Name))
	defer cancel()
	l := s.l.WithDefaults()
	// The clones' budgets are their own; warming up must not fail for one.
	l.MemoryBytes = max(l.MemoryBytes, api.DefaultLimits().MemoryBytes)
	l.PIDs = max(l.PIDs, api.DefaultLimits().PIDs)
	err = c.withBox(ctx, s.d, driver.BoxSpec{Root: s.t.Root, Limits: l}, "bake-", func(box driver.Box, client *guest.Client) error {
		keeper, ok := box.(driver.Snapshotter)
		if !ok {
			return api.Errorf(api.CodeUnsupported, "cannot bake the template %s: because boxes of the driver %s cannot be kept", s.t.Name, s.d.Name())
		}
		if kernels, err = c.warmUp(ctx, s, client); err != nil {
			return err
		}
		if err := keeper.Snapshot(ctx, dir, false); err != nil {
			return fmt.Errorf("cannot keep the baked template %s: %w", s.t.Name, err)
		}
		return nil
	})
	return kernels, err
}

// warmUp runs the template's script and starts what waits in the snapshot: the
// kernels of its languages, or its interpreter.
func (c *Catalog) warmUp(ctx context.Context, s bakeSpec, client *guest.Client) (kernels []api.KernelRef, err error) {
	if s.rec.WarmScript != "" {
		if err := s.script(ctx, client); err != nil {
			return nil, err
		}
	}
	if s.kind != Code || c.opts.Kernel == nil {
		if len(s.rec.WarmModules) == 0 {
			return nil, nil
		}
		return nil, s.interpreter(ctx, client)
	}
	for i, language := range s.rec.Kernels {
		k, err := c.opts.Kernel(ctx, client, s.t.Env, language)
		if err != nil {
			return nil, fmt.Errorf("cannot bake the template %s with a kernel of %s: %w", s.t.Name, language, err)
		}
		k.Default = i == 0
		kernels = append(kernels, k)
	}
	return kernels, nil
}

// script runs the warm-up script as the programs' user: what it leaves behind,
// files and processes, is in the snapshot.
func (s bakeSpec) script(ctx context.Context, client *guest.Client) error {
	argv := []string{warmPath}
	if !strings.HasPrefix(s.rec.WarmScript, "#!") {
		argv = []string{"/bin/sh", warmPath}
	}
	var said tail
	report, err := client.Exec(ctx, guest.ExecRequest{Cwd: api.WorkDir, Argv: argv, Env: s.t.Env}, guest.Streams{Stdout: &said, Stderr: &said})
	if err != nil {
		return err
	}
	if report.Status != 0 {
		return api.Errorf(api.CodeInvalid, "cannot bake the template %s: because its warm-up script ended with %s: %q", s.t.Name, statusText(report.Status), said.lastLine()).
			WithFix("mend the script: it runs as uid 1000 in %s, without a network", api.WorkDir)
	}
	return nil
}

func (s bakeSpec) interpreter(ctx context.Context, client *guest.Client) error {
	var said tail
	report, err := client.Exec(ctx, s.request(), guest.Streams{Stdout: &said, Stderr: &said})
	if err != nil {
		return err
	}
	if report != (guest.ExitReport{}) {
		return api.Errorf(api.CodeInvalid, "cannot bake the template %s: because its interpreter ended instead of waiting: %q", s.t.Name, said.lastLine()).
			WithFix("warm only modules that are in it, or add their packages: brig template build NAME --from python --packages … --warm …")
	}
	return nil
}

// request starts the warm interpreter. -E and -s keep the environment and the
// user's packages out of what all clones share, -B leaves no files behind.
func (s bakeSpec) request() guest.ExecRequest {
	argv := append([]string{}, s.rec.Languages["python"].Argv...)
	argv = append(argv, "-E", "-s", "-B", runnerPath, "--warm", strings.Join(s.rec.WarmModules, ","))
	flags := guest.ExecWarmStart
	if s.kind == Session {
		// It forks a process for each program, and that one gives up root.
		argv = append(argv, "--fork")
		flags |= guest.ExecFork | guest.ExecRoot
	}
	return guest.ExecRequest{Flags: flags, Cwd: api.WorkDir, Argv: argv, Env: s.t.Env}
}

// statusText is a raw wait status for people.
func statusText(status uint32) string {
	ws := syscall.WaitStatus(status)
	if ws.Signaled() {
		return "signal " + ws.Signal().String()
	}
	return fmt.Sprintf("exit code %d", ws.ExitStatus())
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > lastWords {
		t.b = t.b[len(t.b)-lastWords:]
	}
	return len(p), nil
}

// lastLine is where Python says what went wrong.
func (t *tail) lastLine() string { return lastLine(t.b) }
