package bench

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/host"
)

// accountant is a driver that knows the processor time of all its boxes.
type accountant interface {
	TotalCPU() (time.Duration, bool)
}

// CPUOf gives the meter of a Brig in this process: its boxes and itself.
func CPUOf(drivers []driver.Driver) func() (time.Duration, bool) {
	return func() (time.Duration, bool) {
		for _, d := range drivers {
			if a, ok := d.(accountant); ok {
				if boxes, ok := a.TotalCPU(); ok {
					return boxes + selfCPU(), true
				}
			}
		}
		return 0, false
	}
}

// Command measures one command on a template, from a cold boot.
func Command(name string, h host.Host, cpu func() (time.Duration, bool), template string, argv ...string) Subject {
	one := func(ctx context.Context) (Sample, error) {
		start := time.Now()
		box, err := h.Create(ctx, api.SandboxSpec{Template: template, Isolation: api.IsolationAuto, Limits: api.DefaultLimits()})
		if err != nil {
			return Sample{}, err
		}
		defer box.Destroy(context.WithoutCancel(ctx))
		r, err := box.Exec(ctx, api.ExecSpec{Argv: argv}, host.Stdio{})
		if err != nil || r.Verdict != api.OK {
			return Sample{}, fmt.Errorf("%s: %s, %w", strings.Join(argv, " "), r.Verdict, err)
		}
		tti := time.Since(start)
		err = box.Destroy(ctx)
		return Sample{Total: time.Since(start), TTI: tti}, err
	}
	return Subject{Name: name, One: one, CPU: cpu,
		Means: "cold boot of template " + template + ", `" + strings.Join(argv, " ") + "`, destroy"}
}

// Python measures the item on a Host. How it is served (cold, warm, from a
// pool) is the host's and the spec's matter.
func Python(name, means string, h host.Host, cpu func() (time.Duration, bool), spec api.SandboxSpec) Subject {
	one := func(ctx context.Context) (Sample, error) {
		start := time.Now()
		box, err := h.Create(ctx, spec)
		if err != nil {
			return Sample{}, err
		}
		defer box.Destroy(context.WithoutCancel(ctx))
		got, err := runItem(ctx, box)
		if err != nil {
			return Sample{}, err
		}
		tti := time.Since(start)
		if err := box.Destroy(ctx); err != nil {
			return Sample{}, err
		}
		return Sample{Total: time.Since(start), TTI: tti}, check(got, []byte(itemResult))
	}
	return Subject{Name: name, Means: means, One: one, CPU: cpu}
}

func runItem(ctx context.Context, box host.Sandbox) ([]byte, error) {
	if err := box.Put(ctx, "/work/input.json", 0o644, strings.NewReader(itemInput)); err != nil {
		return nil, err
	}
	if err := box.Put(ctx, "/work/run.py", 0o644, strings.NewReader(itemCode)); err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	r, err := box.Exec(ctx, api.ExecSpec{Script: "/work/run.py", Language: "python"}, host.Stdio{Stderr: &stderr})
	if err != nil {
		return nil, err
	}
	if r.Verdict != api.OK {
		return nil, fmt.Errorf("the item ended with %s: %.200q", r.Verdict, stderr.String())
	}
	var result bytes.Buffer
	_, err = box.Get(ctx, "/work/result.json", 1<<20, &result)
	return result.Bytes(), err
}
