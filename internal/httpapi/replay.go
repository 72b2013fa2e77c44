package httpapi

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// streamRoutes are programs whose readers may lose their connection.
func streamRoutes() []route {
	return []route{
		{"POST " + box + "/exec/stream", accessUser, execStream},
		{"GET " + box + "/exec/stream", accessUser, resumeStream},
		{"GET " + box + "/exec/ws", accessUser, execSocket},
	}
}

// streamBody is a program whose output is sent as it comes.
type streamBody struct {
	api.ExecRequest
	// ResumeSeconds is how long the program goes on after the connection is lost, for
	// its reader to come back; then it is killed. Default 15, at most 3600.
	ResumeSeconds *float64 `json:"resume_seconds,omitempty"`
}

// execStream runs a program and sends what it prints as events, exit or error last.
// A reader whose connection is lost goes on with resumeStream.
func execStream(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body streamBody
	if err := readBody(w, r, maxExecBody, &body); err != nil {
		return err
	}
	p, err := sb.StreamProcess(r.Context(), body.ExecRequest, body.ResumeSeconds)
	if err != nil {
		return err
	}
	return sendStream(w, r, sb, place{process: p.ID})
}

// resumeStream sends the events behind the one whose id is in Last-Event-ID, or of
// ?process= from ?offset= on.
func resumeStream(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	at := place{process: r.URL.Query().Get("process")}
	if at.offset, err = queryInt(r, "offset", 0); err != nil {
		return err
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		if at, err = parsePlace(id); err != nil {
			return err
		}
	}
	if _, err := sb.Process(at.process); err != nil {
		return err
	}
	return sendStream(w, r, sb, at)
}

func sendStream(w http.ResponseWriter, r *request, sb *control.Sandbox, from place) error {
	w.Header().Set("X-Exec-Id", from.process)
	events := newEventStream(w)
	stop := events.start()
	defer stop()
	x := &replay{sb: sb, at: from, send: func(at place, name string, v any) error { return events.sendFrom(at.String(), name, v) }}
	x.run(r.Context())
	return nil // the reader has it all, or is gone
}

// place is how far a reader is in a process's output. As text it is the id of an
// event.
type place struct {
	process string
	offset  int64
	// rest are the bytes before offset, of stdout and stderr, that are part of a
	// character whose end has not come: they were not sent.
	rest [2]string
}

// String is the id: the process, the offset and the rests in hexadecimal, those that
// are empty left out.
func (p place) String() string {
	s := p.process + ":" + strconv.FormatInt(p.offset, 10)
	if p.rest != [2]string{} {
		s += ":" + hex.EncodeToString([]byte(p.rest[0])) + ":" + hex.EncodeToString([]byte(p.rest[1]))
	}
	return s
}

// parsePlace reads an id that String made.
func parsePlace(id string) (p place, err error) {
	f := strings.Split(id, ":")
	bad := api.Errorf(api.CodeInvalid, "cannot go on behind the event %.80q: because that is no event's id", id).WithFix("send the last id of the stream, or ?process= and ?offset=")
	if len(f) != 2 && len(f) != 4 {
		return p, bad
	}
	if p.process = f[0]; p.process == "" {
		return p, bad
	}
	if p.offset, err = strconv.ParseInt(f[1], 10, 64); err != nil || p.offset < 0 {
		return p, bad
	}
	for i, text := range f[2:] {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) > 3 {
			return p, bad
		}
		p.rest[i] = string(b)
	}
	return p, nil
}

// replay sends a process's output from a place on, as text, and then its end.
type replay struct {
	sb   *control.Sandbox
	at   place
	send func(at place, name string, v any) error
}

// chunkEvent is a piece of output.
type chunkEvent struct {
	Chunk  string `json:"chunk"`            // what is not UTF-8 is U+FFFD in it
	Base64 []byte `json:"base64,omitempty"` // then this is all of it, exactly
}

func chunkOf(b []byte) chunkEvent {
	if utf8.Valid(b) {
		return chunkEvent{Chunk: string(b)}
	}
	return chunkEvent{strings.ToValidUTF8(string(b), "\uFFFD"), b}
}

// lostEvent says how much was no longer kept when its reader came back.
type lostEvent struct {
	Bytes int64 `json:"bytes"`
}

// run returns when the end was sent, or the reader is gone.
func (x *replay) run(ctx context.Context) {
	if err := x.sb.ResumeProcess(ctx, x.at.process, x.at.offset, x.give); err != nil {
		return
	}
	for i := range x.at.rest {
		if x.flush(i) != nil {
			return
		}
	}
	p, err := x.sb.Process(x.at.process)
	if err != nil {
		_ = x.send(x.at, "error", describeError(err))
		return
	}
	req, err := x.sb.ProcessRequest(x.at.process)
	switch {
	case err != nil:
		_ = x.send(x.at, "error", describeError(err))
	case p.Result == nil || p.Result.Verdict == api.Infra:
		_ = x.send(x.at, "error", errorBody{Error: plain("cannot follow the program: because " + reasonOf(p)), Code: string(api.CodeInternal)})
	case p.Result.TimedOut && req.OnTimeout != "result":
		_ = x.send(x.at, "error", errorBody{Error: timeoutText(*p.Result), Code: "timeout"})
	default:
		_ = x.send(x.at, "exit", p.Result)
	}
}

// reasonOf is why Brig could not see a program to its end.
func reasonOf(p api.Process) string {
	if p.Result == nil || p.Result.Evidence.Reason == "" {
		return "its sandbox has ended"
	}
	return p.Result.Evidence.Reason
}

// maxEvent bounds the output in one event: over a bad line, small ones arrive.
const maxEvent = 16 << 10

// give sends a chunk in pieces.
func (x *replay) give(c control.Chunk) error {
	for piece := range slices.Chunk(c.Data, maxEvent) {
		if err := x.piece(control.Chunk{Stream: c.Stream, Offset: c.Offset, Data: piece}); err != nil {
			return err
		}
		c.Offset += int64(len(piece))
	}
	return nil
}

// piece sends the whole characters of a piece and keeps the rest of it.
func (x *replay) piece(c control.Chunk) error {
	if lost := c.Offset - x.at.offset; lost > 0 {
		x.at.rest = [2]string{}
		x.at.offset = c.Offset
		if err := x.send(x.at, "lost", lostEvent{lost}); err != nil {
			return err
		}
	}
	i := streamNumber(c.Stream)
	b := append([]byte(x.at.rest[i]), c.Data...)
	n := wholeRunes(b)
	x.at.rest[i] = string(b[n:])
	x.at.offset = c.Offset + int64(len(c.Data))
	return x.text(c.Stream, b[:n])
}

// flush sends what waits for the end of a character that did not come.
func (x *replay) flush(i int) error {
	rest := x.at.rest[i]
	x.at.rest[i] = ""
	return x.text([2]string{"stdout", "stderr"}[i], []byte(rest))
}

func (x *replay) text(stream string, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return x.send(x.at, stream, chunkOf(b))
}

func streamNumber(name string) int {
	if name == "stderr" {
		return 1
	}
	return 0
}
