package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/brigdev/brig/api"
)

// execSandbox runs a program to its end. A timeout is status 504 with what the
// program had printed, because published clients expect that, or an ordinary
// answer on request.
func execSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var req api.ExecRequest
	if err := readBody(w, r, maxExecBody, &req); err != nil {
		return err
	}
	if req.Terminal != nil {
		return api.Errorf(api.CodeInvalid, "cannot run: because a terminal needs a connection").WithFix("use GET …/exec/raw or …/exec/pty")
	}
	resp, err := sb.Exec(r.Context(), req)
	if err != nil {
		return err
	}
	if !resp.TimedOut || req.OnTimeout == "result" {
		writeJSON(w, http.StatusOK, resp)
		return nil
	}
	writeJSON(w, http.StatusGatewayTimeout, struct {
		errorBody
		api.ExecResponse
	}{errorBody{Error: timeoutText(resp), Code: "timeout", RequestID: w.Header().Get("X-Request-Id")}, resp})
	return nil
}

// timeoutText has the word that published clients look for.
func timeoutText(r api.ExecResponse) string {
	return fmt.Sprintf("command timeout after %s", time.Duration(r.Evidence.Limit)*time.Millisecond)
}
