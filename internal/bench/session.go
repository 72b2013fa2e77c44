package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/interpreter"
	"github.com/brigdev/brig/internal/snapshot"
)

// Lab is what sessions are measured with.
type Lab struct {
	Host      host.Host
	Snapshots *snapshot.Store
	// Parallel is how many sandboxes of a fork are restored at a time.
	Parallel int
	CPU      func() (time.Duration, bool)
}

func (l Lab) session(ctx context.Context, template string, change ...func(*api.SandboxSpec)) (host.Session, error) {
	limits := api.DefaultLimits()
	spec := api.SandboxSpec{Template: template, Isolation: api.IsolationAuto, Limits: limits, Session: true, TTL: time.Hour}
	for _, c := range change {
		c(&spec)
	}
	box, err := l.Host.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return box.(host.Session), nil
}

func warmed(s *api.SandboxSpec) { s.Warm = "python" }

// do runs a command that has to succeed.
func do(ctx context.Context, box host.Session, argv ...string) error {
	r, err := box.Exec(ctx, api.ExecSpec{Argv: argv}, host.Stdio{})
	if err == nil && r.Verdict != api.OK {
		err = fmt.Errorf("%s ended with %s", strings.Join(argv, " "), r.Verdict)
	}
	return err
}

// Restore measures a session of a template: cold, until a new interpreter has run,
// or from the template's baked snapshot.
func (l Lab) Restore(template string, cold bool) Subject {
	s := Subject{
		Name: "restore " + template, CPU: l.CPU,
		Means: "session of template " + template + " from its baked snapshot, until `true` has run in it; total: until it is destroyed",
	}
	change, argv := warmed, []string{"/bin/true"}
	if cold {
		s.Name = "cold " + template
		s.Means = "session of template " + template + " by a cold boot, until `python3 -c pass` has run in it; total: until it is destroyed"
		change, argv = func(*api.SandboxSpec) {}, []string{"/usr/bin/python3", "-c", "pass"}
	}
	s.One = func(ctx context.Context) (Sample, error) {
		start := time.Now()
		box, err := l.session(ctx, template, change)
		if err != nil {
			return Sample{}, err
		}
		err = do(ctx, box, argv...)
		tti := time.Since(start)
		err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx)))
		return Sample{Total: time.Since(start), TTI: tti}, err
	}
	return s
}

// Fork measures n children of a running session, from one snapshot.
func (l Lab) Fork(template string, n int) Subject {
	s := Subject{
		Name: "fork " + strconv.Itoa(n), CPU: l.CPU,
		Means: fmt.Sprintf("snapshot of a session of template %s with a warm Python, and %d children of it, until `true` has run in each, %d at a time; total: until they are destroyed", template, n, l.Parallel),
	}
	s.One = func(ctx context.Context) (_ Sample, err error) {
		// All of them have to fit into the machine at once.
		parent, err := l.session(ctx, template, warmed, func(s *api.SandboxSpec) { s.Limits.MemoryBytes = 128 << 20 })
		if err != nil {
			return Sample{}, err
		}
		defer func() { err = errors.Join(err, parent.Destroy(context.WithoutCancel(ctx))) }()
		start := time.Now()
		m, dir, release, err := l.keep(ctx, parent)
		if err != nil {
			return Sample{}, err
		}
		defer release()
		boxes, err := l.children(ctx, m, dir, n)
		tti := time.Since(start)
		for _, b := range boxes {
			if b != nil {
				err = errors.Join(err, b.Destroy(context.WithoutCancel(ctx)))
			}
		}
		return Sample{Total: time.Since(start), TTI: tti}, err
	}
	return s
}

// keep takes a snapshot for a fork.
func (l Lab) keep(ctx context.Context, box host.Session) (m api.Snapshot, dir string, release func(), err error) {
	return l.Snapshots.Temporary(ctx, func(dir string) (api.Snapshot, error) {
		info := box.Info()
		paused, err := box.Snapshot(ctx, dir)
		return api.Snapshot{
			Sandbox: info.ID, Template: info.Template, Digest: info.Digest, Driver: info.Driver,
			Key: box.SnapshotKey(), Limits: info.Limits, PausedMS: paused.Milliseconds(),
		}, err
	})
}

func (l Lab) children(ctx context.Context, m api.Snapshot, dir string, n int) ([]host.Session, error) {
	boxes := make([]host.Session, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(l.Parallel)
	for i := range n {
		g.Go(func() (err error) {
			boxes[i], err = l.session(ctx, m.Template, func(s *api.SandboxSpec) { s.Snapshot, s.Limits = dir, m.Limits })
			if err != nil {
				return err
			}
			return do(ctx, boxes[i], "/bin/true")
		})
	}
	return boxes, g.Wait()
}

// Dirty is what a sandbox did before a snapshot.
type Dirty struct {
	Name   string
	Memory int // MiB that a program holds
	Disk   int // MiB that were written to /work
}

// hold keeps memory and says when it has it.
const hold = "import os, sys, time\nb = os.urandom(1 << 20) * %d\nopen('/work/held', 'w').write('x')\ntime.sleep(1000)"

// Snapshot measures the pause of a snapshot, and a clone of it.
func (l Lab) Snapshot(template string, d Dirty) (pause, clone Subject) {
	what := fmt.Sprintf("a session of template %s with %d MiB of changed memory and %d MiB of changed files", template, d.Memory, d.Disk)
	var cloned []Sample // of the same round: the pause is measured first
	one := func(ctx context.Context) (_ Sample, err error) {
		box, err := l.session(ctx, template, func(s *api.SandboxSpec) { s.Limits.MemoryBytes = 1 << 30 })
		if err != nil {
			return Sample{}, err
		}
		defer func() { err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx))) }()
		stop, err := l.soil(ctx, box, d)
		defer stop()
		if err != nil {
			return Sample{}, err
		}
		start := time.Now()
		m, dir, release, err := l.keep(ctx, box)
		took := time.Since(start)
		if err != nil {
			return Sample{}, err
		}
		defer release()
		start = time.Now()
		boxes, err := l.children(ctx, m, dir, 1)
		usable := time.Since(start)
		if err != nil {
			return Sample{}, err
		}
		err = boxes[0].Destroy(context.WithoutCancel(ctx))
		cloned = append(cloned, Sample{Total: time.Since(start), TTI: usable})
		return Sample{Total: took, TTI: time.Duration(m.PausedMS) * time.Millisecond}, err
	}
	pause = Subject{Name: "snapshot " + d.Name, CPU: l.CPU, One: one, Means: "snapshot of " + what + "; TTI column: how long it stood still; total: until the snapshot is whole"}
	clone = Subject{Name: "clone " + d.Name, CPU: l.CPU, Means: "a sandbox restored from that, until `true` has run in it; total: until it is destroyed",
		One: func(context.Context) (Sample, error) {
			if len(cloned) == 0 {
				return Sample{}, errors.New("there was no snapshot")
			}
			s := cloned[0]
			cloned = cloned[1:]
			return s, nil
		}}
	return pause, clone
}

// soil changes memory and files. stop ends what holds the memory.
func (l Lab) soil(ctx context.Context, box host.Session, d Dirty) (stop func(), err error) {
	stop = func() {}
	if d.Disk > 0 {
		if err := do(ctx, box, "dd", "if=/dev/urandom", "of=/work/changed", "bs=1M", "count="+strconv.Itoa(d.Disk), "status=none"); err != nil {
			return stop, err
		}
	}
	if d.Memory == 0 {
		return stop, nil
	}
	p, err := box.Start(ctx, api.ExecSpec{Argv: []string{"/usr/bin/python3", "-c", fmt.Sprintf(hold, d.Memory)}, Timeout: time.Hour}, host.Stdio{})
	if err != nil {
		return stop, err
	}
	stop = func() {
		_ = p.Signal(context.WithoutCancel(ctx), syscall.SIGKILL, true)
		_, _ = p.Wait()
	}
	return stop, do(ctx, box, "sh", "-c", "until [ -s /work/held ]; do sleep 0.02; done")
}

// cellCode is what an analyst's first cell does.
const cellCode = `import pandas, matplotlib
import matplotlib.pyplot as plt
df = pandas.DataFrame({"month": ["Jan", "Feb", "Mar"], "sales": [3, 5, 4]})
df.plot(x="month", y="sales")
df`

// FirstCell measures a new session until a table and a figure are back: in the
// kernel of the template's snapshot, or in a new one.
func (l Lab) FirstCell(template string, cold bool) Subject {
	s := Subject{
		Name: "first cell warm", CPU: l.CPU,
		Means: "session of template " + template + " until `import pandas, matplotlib`, a DataFrame as HTML and a figure as PNG are back, in the kernel of the baked snapshot; total: until it is destroyed",
	}
	if cold {
		s.Name, s.Means = "first cell cold", "the same in a kernel that is started in the new session"
	}
	s.One = func(ctx context.Context) (Sample, error) {
		start := time.Now()
		box, err := l.session(ctx, template)
		if err != nil {
			return Sample{}, err
		}
		err = firstCell(ctx, box, cold)
		tti := time.Since(start)
		err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx)))
		return Sample{Total: time.Since(start), TTI: tti}, err
	}
	return s
}

func firstCell(ctx context.Context, box host.Session, cold bool) (err error) {
	var k *interpreter.Kernel
	if baked := box.Info().Kernels; cold || len(baked) == 0 {
		k, err = interpreter.Open(ctx, box, "python", interpreter.Options{})
	} else {
		k, err = interpreter.Resume(ctx, box, baked[0], interpreter.Options{})
	}
	if err != nil {
		return err
	}
	defer k.Close(context.WithoutCancel(ctx))
	r, err := k.Run(ctx, cellCode, interpreter.RunOptions{})
	if err != nil {
		return err
	}
	table, figure := false, false
	for _, shown := range r.Results {
		table = table || shown.Data["text/html"] != ""
		figure = figure || shown.Data["image/png"] != ""
	}
	if !table || !figure {
		return fmt.Errorf("the cell showed a table: %t, a figure: %t (%+v)", table, figure, r.Error)
	}
	return nil
}
