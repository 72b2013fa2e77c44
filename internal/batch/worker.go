package batch

import (
	"context"
	"slices"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/host"
)

const (
	destroyTimeout = 30 * time.Second
	// itemGrace is what a sandbox lives longer than its program may run.
	itemGrace = 2 * time.Minute
	// sharedTTL is how long a sandbox lives that runs many items.
	sharedTTL = 24 * time.Hour
)

// worker runs items one after the other. It has at most one sandbox, and waits
// for another one only when it has none: so workers never wait for each other.
type worker struct {
	*run
	globs []Glob
	box   host.Sandbox // nil when there is none
	trust string       // of the items that box runs
	used  int          // items that box has run
}

// sandbox gives one that the item may run in.
func (w *worker) sandbox(ctx context.Context, it input.Item) (host.Sandbox, error) {
	if w.box != nil && w.trust == it.Trust {
		err := w.box.Reset(ctx)
		if err == nil {
			w.used++
			return w.box, nil
		}
		if ctx.Err() == nil {
			w.o.Log.Warn("a sandbox could not be reset and is replaced", "sandbox", w.box.Info().ID, "error", err)
		}
	}
	w.destroy(ctx)
	spec := w.spec(it)
	box, err := w.o.Host.Create(ctx, spec)
	if err != nil {
		return nil, classifyCreate(ctx, err)
	}
	w.box, w.trust, w.used = box, it.Trust, 1
	return box, nil
}

// classifyCreate tells errors that every item would meet.
func classifyCreate(ctx context.Context, err error) error {
	switch api.CodeOf(err) {
	case api.CodeInvalid, api.CodeNotFound, api.CodeUnavailable, api.CodeUnsupported, api.CodeExhausted:
		if ctx.Err() == nil {
			return ours{err}
		}
	}
	return err
}

func (w *worker) spec(it input.Item) api.SandboxSpec {
	s := api.SandboxSpec{
		Template: w.o.Template, Isolation: w.o.Isolation, Floor: w.o.Floor, Limits: w.o.Limits,
		TTL: it.TimeoutDuration(w.o.Limits.Timeout) + itemGrace, Trust: it.Trust,
	}
	if it.Language == "python" {
		s.Warm = it.Language
	}
	if w.o.Per.shared() {
		// The next item may be in Python, whatever this one is in.
		if slices.Contains(w.o.Languages, "python") {
			s.Warm = "python"
		}
		s.Reuse, s.TTL = true, sharedTTL
	}
	return s
}

// release ends an item's use of the sandbox: it is destroyed unless it can take
// another item.
func (w *worker) release(ctx context.Context, good bool) {
	full := w.o.Per.Items >= 0 && w.used >= w.o.Per.Items
	if !good || !w.o.Per.shared() || full {
		w.destroy(ctx)
	}
}

// destroy removes the worker's sandbox, if it has one.
func (w *worker) destroy(ctx context.Context) {
	if w.box == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
	defer cancel()
	if err := w.box.Destroy(ctx); err != nil {
		w.o.Log.Error("a sandbox could not be destroyed; brig gc removes it", "sandbox", w.box.Info().ID, "error", err)
	}
	w.box = nil
}
