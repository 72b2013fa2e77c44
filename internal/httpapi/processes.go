package httpapi

import (
	"net/http"
	"syscall"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// processBody starts a background program.
type processBody struct {
	api.ExecRequest
	OpenStdin bool `json:"open_stdin"`
}

func startProcess(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body processBody
	if err := readBody(w, r, maxExecBody, &body); err != nil {
		return err
	}
	p, err := sb.StartProcess(r.Context(), body.ExecRequest, body.OpenStdin)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, p)
	return nil
}

func listProcesses(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, sb.Processes())
	return nil
}

// getProcess describes one; ?wait=1 waits for its end first.
func getProcess(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	look := sb.Process
	if queryBool(r, "wait") {
		look = func(id string) (api.Process, error) { return sb.WaitProcess(r.Context(), id) }
	}
	p, err := look(r.PathValue("process"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, p)
	return nil
}

// processOutput sends what one has printed from ?offset= on, as events with their
// offsets, and goes on until its end unless ?follow=0.
func processOutput(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	offset, err := queryInt(r, "offset", 0)
	if err != nil {
		return err
	}
	id := r.PathValue("process")
	if _, err := sb.Process(id); err != nil {
		return err
	}
	follow := r.URL.Query().Get("follow") != "0"
	events := newEventStream(w)
	stop := events.start()
	defer stop()
	err = sb.FollowProcess(r.Context(), id, offset, follow, func(c control.Chunk) error { return events.chunk(c) })
	if err != nil {
		return nil // the reader is gone
	}
	p, err := sb.Process(id)
	switch {
	case err != nil:
		return events.send("error", describeError(err))
	case p.Result != nil:
		return events.send("exit", p.Result)
	}
	return events.send("paused", map[string]int64{"offset": p.OutputBytes})
}

// chunk sends output exactly, with its place.
func (e *eventStream) chunk(c control.Chunk) error {
	return e.send(c.Stream, map[string]any{"offset": c.Offset, "base64": c.Data})
}

// signalBody names a signal; with tree it is for all that the program started.
type signalBody struct {
	Signal string `json:"signal"` // default TERM
	Tree   bool   `json:"tree"`
}

func signalProcess(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	body := signalBody{Signal: "TERM"}
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	n := api.SignalNumber(body.Signal)
	if n == 0 {
		return api.Errorf(api.CodeInvalid, "cannot send the signal %.40q: because there is no such signal", body.Signal).WithFix(`use "TERM", "KILL", "INT" or a number like "15"`)
	}
	if err := sb.SignalProcess(r.Context(), r.PathValue("process"), syscall.Signal(n), body.Tree); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeProcess passes the body on to its stdin; ?eof=1 closes it afterwards.
func writeProcess(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.WriteProcess(r.Context(), r.PathValue("process"), r.Body, queryBool(r, "eof")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func resizeProcess(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var size api.Terminal
	if err := readBody(w, r, maxBody, &size); err != nil {
		return err
	}
	if err := sb.ResizeProcess(r.Context(), r.PathValue("process"), size); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
