package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

// watchFiles sends what changes in a directory, with ?recursive=1 also below it, as
// events: "ready" once it is watched, "change" for each, "error" last if the watch
// cannot go on.
func watchFiles(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	dir, err := pathOf(r, "path")
	if err != nil {
		return err
	}
	events, stop := newEventStream(w), func() {}
	defer func() { stop() }()
	begun := false
	ready := func() {
		begun, stop = true, events.start()
		_ = events.send("ready", struct{}{}) // the next one says that the reader is gone
	}
	err = sb.Watch(r.Context(), dir, queryBool(r, "recursive"), ready, func(c api.FileChange) error {
		return events.send("change", c)
	})
	if !begun {
		return err
	}
	if r.Context().Err() == nil {
		_ = events.send("error", describeError(err)) // nobody is left if this fails
	}
	return nil
}
