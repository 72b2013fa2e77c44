package api

import (
	"errors"
	"fmt"
)

// Code classes a failure of Brig itself. A program's fate is a Verdict instead.
type Code string

// The codes. Each has one exit code in internal/cli and one HTTP status in the
// service.
const (
	CodeInvalid     Code = "invalid"     // the request makes no sense; repeating it does not help
	CodeNotFound    Code = "not_found"   // no such sandbox, template, item
	CodeUnavailable Code = "unavailable" // this host can't give the rung, tool or template asked for
	CodeExhausted   Code = "exhausted"   // more than this host has, or the queue's deadline passed
	CodeConflict    Code = "conflict"    // somebody else holds it, or it is in the wrong state
	CodeCancelled   Code = "cancelled"   // the caller went away
	CodeUnsupported Code = "unsupported" // the driver has no such capability
	CodeInternal    Code = "internal"    // Brig or the platform failed
)

// Error is the one shape of a failure: what went wrong, and what mends it.
// Message says "cannot X: because Y"; Fix is one line that the user can act on.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"error"`
	Fix     string `json:"fix,omitempty"`
	cause   error
}

// Errorf makes an Error; %w keeps a cause as fmt.Errorf does.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// WithFix returns e with the line that mends it.
func (e *Error) WithFix(format string, args ...any) *Error {
	e.Fix = fmt.Sprintf(format, args...)
	return e
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause that Errorf was handed with %w.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf classes any error; what nobody classed is CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// FixOf returns the fix of the nearest Error in the chain, or "".
func FixOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Fix
	}
	return ""
}
