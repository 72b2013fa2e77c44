package control

import (
	"context"
	"time"

	"github.com/brigdev/brig/api"
)

// FollowEvents gives the events after a time, as Events has them, and then those
// that happen, until the sandbox has ended or ctx.
func (sb *Sandbox) FollowEvents(ctx context.Context, after time.Time, give func(api.Event) error) error {
	for {
		sb.mu.Lock()
		news := sb.news
		sb.mu.Unlock()
		list, err := sb.Events(0)
		if err != nil {
			return err
		}
		ended := false
		for _, e := range list {
			ended = ended || e.Type == "ended"
			if !e.Time.After(after) {
				continue
			}
			if err := give(e); err != nil {
				return err
			}
			after = e.Time
		}
		if ended {
			return nil
		}
		select {
		case <-news:
		case <-sb.svc.ctx.Done():
			return nil
		case <-ctx.Done():
			return api.Errorf(api.CodeCancelled, "cannot follow the events: because the caller went away")
		}
	}
}

// announce puts an event behind all others, whatever the clock says, and wakes who
// follows them. The caller holds mu.
func (sb *Sandbox) announce(e *api.Event) {
	if n := len(sb.events); n > 0 && !e.Time.After(sb.events[n-1].Time) {
		e.Time = sb.events[n-1].Time.Add(1)
	}
	close(sb.news)
	sb.news = make(chan struct{})
}
