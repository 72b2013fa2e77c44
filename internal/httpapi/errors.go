package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/e2b"
)

// errorBody is the one shape of a failure.
type errorBody struct {
	Error     string `json:"error"`
	Code      string `json:"code"`
	Fix       string `json:"fix,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// statusOf is the one map of codes to statuses.
func statusOf(err error) int {
	var u unauthorized
	var f forbidden
	var m wrongMethod
	var up needsUpgrade
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &up):
		return http.StatusUpgradeRequired
	case errors.As(err, &u):
		return http.StatusUnauthorized
	case errors.As(err, &f):
		return http.StatusForbidden
	case errors.As(err, &m):
		return http.StatusMethodNotAllowed
	case errors.Is(err, errSlowBody):
		return http.StatusRequestTimeout
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	}
	switch api.CodeOf(err) {
	case api.CodeInvalid:
		return http.StatusBadRequest
	case api.CodeNotFound:
		return http.StatusNotFound
	case api.CodeConflict:
		return http.StatusConflict
	case api.CodeExhausted:
		return http.StatusTooManyRequests
	case api.CodeUnavailable:
		return http.StatusServiceUnavailable
	case api.CodeUnsupported:
		return http.StatusNotImplemented
	case api.CodeCancelled:
		return 499 // nobody is left to read it
	}
	return http.StatusInternalServerError
}

// wrongMethod is an error with a status of its own.
type wrongMethod struct{ err *api.Error }

func (m wrongMethod) Error() string { return m.err.Message }
func (m wrongMethod) Unwrap() error { return m.err }

// fail answers with an error. A stream that has begun can only be broken off.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var begun *begunError
	if errors.As(err, &begun) {
		s.log.Debug("a reply broke off", "route", visitOf(r).route, "error", err)
		panic(http.ErrAbortHandler)
	}
	status := statusOf(err)
	if status == 499 && r.Context().Err() == nil {
		status = http.StatusServiceUnavailable // not the caller went away: the server ends
	}
	body := describeError(err)
	body.RequestID = w.Header().Get("X-Request-Id")
	if status >= 500 {
		s.log.Warn("request failed", "route", visitOf(r).route, "status", status, "request", body.RequestID, "error", err)
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if e2b.Owns(r.URL.Path) {
		e2b.Fail(w, status, body.Code, body.Error, body.Fix)
		return
	}
	writeJSON(w, status, body)
}

// begunError is a failure after the reply has begun.
type begunError struct{ err error }

func (e *begunError) Error() string { return e.err.Error() }
func (e *begunError) Unwrap() error { return e.err }

func describeError(err error) errorBody {
	body := errorBody{Error: plain(err.Error()), Code: string(api.CodeOf(err)), Fix: api.FixOf(err)}
	var u unauthorized
	if errors.As(err, &u) {
		body.Code = "unauthorized"
	}
	var f forbidden
	if errors.As(err, &f) {
		body.Code = "forbidden"
	}
	var known *api.Error
	if !errors.As(err, &known) { // an accident: its text is for the log
		body.Error = "internal error"
	}
	return body
}

// plain takes words out of an error that published clients act on: they repeat a
// command when a message has one of the first three, and take any failure with
// one of the others for a command's timeout, but for a name like timeout_seconds,
// which only a wrong request is told.
func plain(text string) string {
	return strings.NewReplacer(
		"connection refused", "connection was refused", "no route to host", "no way to the host", "i/o timeout", "too slow",
		"deadline exceeded", "time is over", "timeout_", "timeout_", "timeout", "time limit",
	).Replace(text)
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the caller is gone if this fails
}
