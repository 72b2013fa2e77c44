package httpapi

import (
	"net/http"
	"time"

	"github.com/brigdev/brig/api"
)

// codeRoutes are interpreter sessions, in our words and in those of PandaStack's clients.
func codeRoutes() []route {
	return []route{
		{"POST " + box + "/code", accessUser, runCode},
		{"GET " + box + "/code/contexts", accessUser, listContexts},
		{"POST " + box + "/code/contexts", accessUser, openContext},
		{"DELETE " + box + "/code/contexts/{context}", accessUser, closeContext},
		{"POST " + box + "/code/contexts/{context}/restart", accessUser, restartContext},
		{"POST " + box + "/repl", accessUser, runOnce},
		{"GET " + box + "/repl/sessions", accessUser, listContexts},
		{"POST " + box + "/repl/sessions", accessUser, openContext},
		{"DELETE " + box + "/repl/sessions/{context}", accessUser, closeContext},
		{"POST " + box + "/repl/sessions/{context}/run", accessUser, runCell},
		{"GET /v1/repl/languages", accessUser, listLanguages},
	}
}

// runCode runs one cell. With Accept: text/event-stream its output and results
// come as events, and the whole end as the last one, "end".
func runCode(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var req api.CodeRequest
	if err := readBody(w, r, maxExecBody, &req); err != nil {
		return err
	}
	if r.Header.Get("Accept") != "text/event-stream" {
		res, err := sb.RunCode(r.Context(), req, nil)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, res)
		return nil
	}
	events := newEventStream(w)
	stop := events.start()
	defer stop()
	res, err := sb.RunCode(r.Context(), req, func(e api.CodeEvent) {
		_ = events.send("event", e) // who is gone is seen by the context
	})
	if err != nil {
		return events.send("error", describeError(err))
	}
	return events.send("end", res)
}

func listContexts(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, sb.Contexts())
	return nil
}

// contextBody asks for an interpreter session.
type contextBody struct {
	Language string `json:"language"` // default python
	Cwd      string `json:"cwd"`      // default /work
}

// contextReply is a session that was opened.
type contextReply struct {
	api.CodeContext
	SessionID string    `json:"session_id"` // the id under another name
	SandboxID string    `json:"sandbox_id"`
	CreatedAt time.Time `json:"created_at"`
}

// openContext answers with the id under both names that published clients and
// documents have for it.
func openContext(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body contextBody
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	c, err := sb.OpenContext(r.Context(), body.Language, body.Cwd)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, contextReply{c, c.ID, sb.ID(), time.Now().UTC()})
	return nil
}

func closeContext(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.CloseContext(r.Context(), r.PathValue("context")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func restartContext(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.RestartContext(r.Context(), r.PathValue("context")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// cellReply is a cell's end as published clients read it: they make text of an
// error, whatever it is.
type cellReply struct {
	Stdout     string              `json:"stdout"`
	Stderr     string              `json:"stderr"`
	Exit       int                 `json:"exit"`
	ExitCode   int                 `json:"exit_code"`
	Results    []map[string]string `json:"results"`
	Error      string              `json:"error,omitempty"` // an exception's name and value
	Exception  *api.CodeError      `json:"exception,omitempty"`
	DurationMS int64               `json:"duration_ms"`
	Truncated  bool                `json:"truncated,omitempty"`
	Language   string              `json:"language,omitempty"`
}

// cellBody is a cell as published clients send it.
type cellBody struct {
	Code      string  `json:"code"`
	Language  string  `json:"language"`
	TimeoutMS float64 `json:"timeout_ms"`
}

// runCell is runCode for published clients: a traceback is on stderr with exit
// code 1, and a timeout is status 504.
func runCell(s *Server, w http.ResponseWriter, r *request) error {
	return cell(s, w, r, r.PathValue("context"))
}

// runOnce runs a cell in a language's default context.
func runOnce(s *Server, w http.ResponseWriter, r *request) error { return cell(s, w, r, "") }

func cell(s *Server, w http.ResponseWriter, r *request, context string) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body cellBody
	if err := readBody(w, r, maxExecBody, &body); err != nil {
		return err
	}
	res, err := sb.RunCode(r.Context(), api.CodeRequest{Code: body.Code, Language: body.Language, Context: context, TimeoutSeconds: body.TimeoutMS / 1000}, nil)
	if err != nil {
		return err
	}
	reply := cellReply{
		Stdout: res.Stdout, Stderr: res.Stderr, Results: []map[string]string{}, Exception: res.Error,
		DurationMS: res.WallMS, Truncated: res.Truncated, Language: body.Language,
	}
	for _, b := range res.Results {
		reply.Results = append(reply.Results, b.Data)
	}
	if res.Error != nil {
		reply.Exit, reply.ExitCode = 1, 1
		reply.Error = res.Error.Name + ": " + res.Error.Value
		reply.Stderr += res.Error.Traceback
	}
	if !res.TimedOut {
		writeJSON(w, http.StatusOK, reply)
		return nil
	}
	writeJSON(w, http.StatusGatewayTimeout, cellTimeout{
		errorBody: errorBody{Error: "cell timeout: it was interrupted, and its session goes on", Code: "timeout", RequestID: w.Header().Get("X-Request-Id")},
		Stdout:    reply.Stdout, Stderr: reply.Stderr, Results: reply.Results, TimedOut: true, ExitCode: 124,
	})
	return nil
}

// cellTimeout is a cell that was interrupted, with what it had said.
type cellTimeout struct {
	errorBody
	Stdout   string              `json:"stdout"`
	Stderr   string              `json:"stderr"`
	Results  []map[string]string `json:"results"`
	TimedOut bool                `json:"timed_out"`
	ExitCode int                 `json:"exit_code"`
}

func listLanguages(_ *Server, w http.ResponseWriter, _ *request) error {
	writeJSON(w, http.StatusOK, []string{"python", "javascript"})
	return nil
}
