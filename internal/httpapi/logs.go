package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// sandboxLogs gives the end of what programs printed: plain text, or with
// ?follow=1 events until the sandbox ends. ?stream= chooses stdout or stderr.
func sandboxLogs(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	stream := r.URL.Query().Get("stream")
	if !slices.Contains([]string{"", "both", "stdout", "stderr"}, stream) {
		return api.Errorf(api.CodeInvalid, "cannot give the stream %.40q: because there is no such one", stream).WithFix("use stdout, stderr or both")
	}
	wanted := func(c control.Chunk) bool { return stream == "" || stream == "both" || stream == c.Stream }
	if !queryBool(r, "follow") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		err := sb.Logs(r.Context(), false, func(c control.Chunk) error {
			if !wanted(c) {
				return nil
			}
			_, err := w.Write(c.Data)
			return err
		})
		if err != nil {
			return &begunError{err}
		}
		return nil
	}
	events := newEventStream(w)
	text := events.text("")
	stop := events.start()
	defer stop()
	err = sb.Logs(r.Context(), true, func(c control.Chunk) error {
		if !wanted(c) {
			return nil
		}
		_, err := text.Write(c.Data)
		return err
	})
	if err == nil {
		text.flush()
	}
	return nil // the reader is gone, or has it all
}

// sandboxEvents gives what happened to a sandbox, the oldest first; ?tail= only
// the newest ones. With ?follow=1 they are server-sent events until it ends.
func sandboxEvents(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	tail, err := queryInt(r, "tail", 0)
	if err != nil {
		return err
	}
	if queryBool(r, "follow") {
		return followEvents(w, r, sb, int(min(tail, 1<<20)))
	}
	list, err := sb.Events(int(min(tail, 1<<20)))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, append([]api.Event{}, list...))
	return nil
}

// followEvents sends the newest tail events, or those behind Last-Event-ID, and then
// what happens. An event's id is its time.
func followEvents(w http.ResponseWriter, r *request, sb *control.Sandbox, tail int) error {
	after, err := eventsAfter(r, sb, tail)
	if err != nil {
		return err
	}
	events := newEventStream(w)
	stop := events.start()
	defer stop()
	_ = sb.FollowEvents(r.Context(), after, func(e api.Event) error {
		return events.sendFrom(e.Time.Format(time.RFC3339Nano), e.Type, e)
	})
	return nil // the reader is gone, or has it all
}

// eventsAfter is the time behind which a reader wants events.
func eventsAfter(r *request, sb *control.Sandbox, tail int) (after time.Time, err error) {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		if after, err = time.Parse(time.RFC3339Nano, id); err != nil {
			return after, api.Errorf(api.CodeInvalid, "cannot go on behind the event %.40q: because that is no event's id", id).WithFix("send the last id of the stream, or none")
		}
		return after, nil
	}
	if tail == 0 {
		return after, nil
	}
	list, err := sb.Events(tail)
	if err != nil || len(list) == 0 {
		return after, err
	}
	return list[0].Time.Add(-1), nil
}
