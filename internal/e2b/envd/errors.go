package envd

import (
	"errors"
	"net/http"
	"syscall"

	"github.com/brigdev/brig/api"
)

// The codes of Connect that are used.
const (
	codeInvalid         = "invalid_argument"
	codeUnauthenticated = "unauthenticated"
	codeNotFound        = "not_found"
	codeExists          = "already_exists"
	codePrecondition    = "failed_precondition"
	codeExhausted       = "resource_exhausted"
	codeUnavailable     = "unavailable"
	codeUnimplemented   = "unimplemented"
	codeCanceled        = "canceled"
	codeDeadline        = "deadline_exceeded"
	codeInternal        = "internal"
)

// rpcError is a failure as Connect tells it.
type rpcError struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

func (e *rpcError) Error() string { return e.Message }

// httpError is a failure as the plain routes tell it.
type httpError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// begunError is a failure after the reply has begun.
type begunError struct{ err error }

func (e *begunError) Error() string { return e.err.Error() }
func (e *begunError) Unwrap() error { return e.err }

// rpcErrorOf gives any failure a code. The text of an accident is for the log.
func rpcErrorOf(err error) *rpcError {
	var known *rpcError
	if errors.As(err, &known) {
		return known
	}
	var ours *api.Error
	if !errors.As(err, &ours) {
		return &rpcError{codeInternal, "internal error"}
	}
	text := ours.Message
	if ours.Fix != "" {
		text += " (" + ours.Fix + ")"
	}
	codes := map[api.Code]string{
		api.CodeInvalid: codeInvalid, api.CodeNotFound: codeNotFound, api.CodeUnavailable: codeUnavailable,
		api.CodeExhausted: codeExhausted, api.CodeConflict: codePrecondition, api.CodeCancelled: codeCanceled,
		api.CodeUnsupported: codeUnimplemented, api.CodeInternal: codeInternal,
	}
	return &rpcError{codes[ours.Code], text}
}

// statusOf is the HTTP status of a code, of a call that is no stream.
func statusOf(code string) int {
	switch code {
	case codeInvalid, codePrecondition:
		return http.StatusBadRequest
	case codeUnauthenticated:
		return http.StatusUnauthorized
	case codeNotFound:
		return http.StatusNotFound
	case codeExists:
		return http.StatusConflict
	case codeExhausted:
		return http.StatusTooManyRequests
	case codeUnavailable:
		return http.StatusServiceUnavailable
	case codeUnimplemented:
		return http.StatusNotImplemented
	case codeCanceled:
		return 499 // nobody is left to read it
	case codeDeadline:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// failure is err as this sandbox's caller has to hear it: whatever fails in a
// sandbox that has ended meanwhile failed for that.
func (c *call) failure(err error) *rpcError {
	if ended := c.sb.Info().Ended; ended != nil {
		return &rpcError{codeUnavailable, "the sandbox has ended: " + ended.Reason}
	}
	return rpcErrorOf(err)
}

// fail answers a request that is no stream.
func (s *Server) fail(c *call, err error) {
	var begun *begunError
	if errors.As(err, &begun) {
		s.log.Debug("a reply broke off", "sandbox", c.sb.ID(), "path", c.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
	e := c.failure(err)
	status := statusOf(e.Code)
	if status >= 500 {
		s.log.Warn("request failed", "sandbox", c.sb.ID(), "path", c.URL.Path, "status", status, "error", err)
	}
	if isRPC(c.URL.Path) {
		writeJSON(c.w, status, e)
		return
	}
	switch {
	case e.Code == codeUnavailable:
		status = http.StatusBadGateway // how clients know that the sandbox is gone
	case errors.Is(err, syscall.ENOSPC):
		status = http.StatusInsufficientStorage
	}
	writeJSON(c.w, status, httpError{status, e.Message})
}
