package e2b

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/brigdev/brig/api"
)

// Bounds of request bodies.
const (
	maxBody     = 1 << 20 // JSON
	maxCodeBody = 9 << 20 // JSON with a cell's code, which may be escaped
)

// errorBody is E2B's one shape of a failure. Clients branch on code, which is the
// status again.
type errorBody struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	ErrorCode string `json:"error_code,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Fail answers with an error in E2B's shape; message and fix are safe to show.
func Fail(w http.ResponseWriter, status int, code, message, fix string) {
	if fix != "" {
		message += "; " + fix
	}
	writeJSON(w, status, errorBody{Code: status, Message: message, ErrorCode: code, RequestID: w.Header().Get("X-Request-Id")})
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller is gone if this fails
}

// readBody reads a JSON body of at most max bytes into v; an empty one leaves v as
// it is. Fields that are not known are ignored: each release of a client has more.
func readBody(w http.ResponseWriter, r *http.Request, max int64, v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return api.Errorf(api.CodeInvalid, "cannot read the request: because it is larger than %s: %w", api.FormatBytes(max), err).
			WithFix("send large data as files")
	case err != nil:
		return api.Errorf(api.CodeInvalid, "cannot read the request: because it broke off")
	case len(b) == 0:
		return nil
	}
	var typ *json.UnmarshalTypeError
	switch err := json.Unmarshal(b, v); {
	case errors.As(err, &typ):
		return api.Errorf(api.CodeInvalid, "cannot read the request: because field %q is a %s", typ.Field, typ.Value).WithFix("send what E2B's API takes")
	case err != nil:
		return api.Errorf(api.CodeInvalid, "cannot read the request: because it is not the JSON that this route takes").WithFix("send what E2B's API takes")
	}
	return nil
}

// queryInt reads a number of at least 0 from the query; def when it is absent.
func queryInt(r *request, name string, def int64) (int64, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, api.Errorf(api.CodeInvalid, "cannot read %s=%.40q: because it is not a number", name, s).WithFix("leave it out")
	}
	return n, nil
}
