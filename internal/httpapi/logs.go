package httpapi

import (
	"net/http"

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
// the newest ones.
func sandboxEvents(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	tail, err := queryInt(r, "tail", 0)
	if err != nil {
		return err
	}
	list, err := sb.Events(int(min(tail, 1<<20)))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, append([]api.Event{}, list...))
	return nil
}
