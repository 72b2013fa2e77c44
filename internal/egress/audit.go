package egress

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/brigdev/brig/api"
)

// reportRate and reportBurst bound the refusals that are reported per second: a
// program may ask for what it may not have as often as it likes.
const (
	reportRate  = 10
	reportBurst = 100
)

type reports struct {
	limit      *rate.Limiter
	suppressed atomic.Int64
}

// report tells the log and the audit of a decision. (The rate of allowed ones is
// bounded by that of connections and lookups.)
func (g *Gateway) report(e api.EgressEvent) {
	level := slog.LevelDebug
	if !e.Allowed {
		if !g.reports.limit.Allow() {
			g.reports.suppressed.Add(1)
			return
		}
		e.Suppressed = g.reports.suppressed.Swap(0)
		level = slog.LevelWarn
	}
	e.Time = time.Now()
	attrs := []slog.Attr{slog.String("kind", e.Kind), slog.Bool("allowed", e.Allowed)}
	for _, a := range []slog.Attr{slog.String("name", e.Name), slog.String("rule", e.Rule), slog.String("reason", e.Reason)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if e.Target.IsValid() {
		attrs = append(attrs, slog.String("target", e.Target.String()))
	}
	if e.Kind == api.EgressClose {
		attrs = append(attrs, slog.Int64("sent", e.Sent), slog.Int64("received", e.Got))
	}
	g.opts.Log.LogAttrs(context.Background(), level, "egress", attrs...)
	g.opts.Audit(e)
}
