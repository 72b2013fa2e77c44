package template

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// Of a bake: how long it may take, how long the end of its box may take, and
// how much of a failed interpreter's last words are shown.
const (
	bakeTimeout    = 60 * time.Second
	destroyTimeout = 30 * time.Second
	lastWords      = 2000
)

type bakeSpec struct {
	t    Template
	d    driver.Driver
	l    api.Limits
	kind string
	rec  Record
}

// bake boots a box, starts the interpreter in it, and keeps the box's memory in
// dir when the interpreter waits for work.
func (c *Catalog) bake(ctx context.Context, s bakeSpec, dir string) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bakeTimeout,
		api.Errorf(api.CodeInternal, "cannot bake the template %s: because its interpreter was not ready within %s", s.t.Name, bakeTimeout).
			WithFix("name fewer modules: 'brig template build %s --warm …'", s.t.Name))
	defer cancel()
	h := driver.Handle{Driver: s.d.Name(), ID: bakeID()}
	done, err := c.opts.Journal(h)
	if err != nil {
		return err
	}
	defer done()
	l := s.l.WithDefaults()
	// The clones' budgets are their own; warming up must not fail for one.
	l.MemoryBytes = max(l.MemoryBytes, api.DefaultLimits().MemoryBytes)
	l.PIDs = max(l.PIDs, api.DefaultLimits().PIDs)
	box, err := s.d.Create(ctx, driver.BoxSpec{ID: h.ID, Hostname: "brig", Root: s.t.Root, Limits: l, Agent: s.t.Agent, Attached: true})
	if err != nil {
		return err
	}
	defer func() {
		// The caller's context may be the reason for going away.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
		defer cancel()
		if err2 := box.Destroy(end); err == nil {
			err = err2
		}
	}()
	return s.warmAndKeep(ctx, box, dir)
}

func (s bakeSpec) warmAndKeep(ctx context.Context, box driver.Box, dir string) error {
	keeper, ok := box.(driver.Snapshotter)
	if !ok {
		return api.Errorf(api.CodeUnsupported, "cannot bake the template %s: because boxes of the driver %s cannot be kept", s.t.Name, s.d.Name())
	}
	var seed [64]byte
	rand.Read(seed[:])
	client, err := guest.Start(ctx, box.Channel(), seed, time.Now())
	if err != nil {
		return err
	}
	// Closed only after the snapshot: the agent would take it for the end.
	defer client.Close()
	var said tail
	report, err := client.Exec(ctx, s.request(), guest.Streams{Stdout: &said, Stderr: &said})
	if err != nil {
		return err
	}
	if report != (guest.ExitReport{}) {
		return api.Errorf(api.CodeInvalid, "cannot bake the template %s: because its interpreter ended instead of waiting: %q", s.t.Name, said.lastLine()).
			WithFix("warm only modules that are in it, or add their packages: brig template build NAME --from python --packages … --warm …")
	}
	if err := keeper.Snapshot(ctx, dir, false); err != nil {
		return fmt.Errorf("cannot keep the baked template %s: %w", s.t.Name, err)
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

func bakeID() string {
	var b [8]byte
	rand.Read(b[:])
	return "bake-" + hex.EncodeToString(b[:])
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
