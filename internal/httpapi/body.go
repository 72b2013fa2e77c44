package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
)

// Bounds of request bodies.
const (
	maxBody     = 1 << 20  // JSON
	maxExecBody = 24 << 20 // JSON with a program's stdin, or a cell's code
)

// readBody reads a JSON body into v; an empty one leaves v as it is, because
// published clients send none. Fields that are not known are ignored, as they do.
func readBody(w http.ResponseWriter, r *request, max int64, v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return api.Errorf(api.CodeInvalid, "cannot read the request: because it is larger than %s: %w", api.FormatBytes(max), err).
			WithFix("send large data as files")
	case errors.Is(err, errSlowBody):
		return api.Errorf(api.CodeInvalid, "cannot read the request: because %w", err).WithFix("send it again")
	case err != nil:
		return api.Errorf(api.CodeInvalid, "cannot read the request: because it broke off").WithFix("send it again")
	case len(b) == 0:
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return api.Errorf(api.CodeInvalid, "cannot read the request: because its JSON is not as expected: %s", jsonFault(err)).
			WithFix("docs/service.md describes each request")
	}
	return nil
}

// jsonFault says what is wrong without quoting the body.
func jsonFault(err error) string {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		// The path of a field has the names of our own types in it, capitalised.
		field := strings.Join(slices.DeleteFunc(strings.Split(typ.Field, "."), func(name string) bool {
			return name == "" || name[0] >= 'A' && name[0] <= 'Z'
		}), ".")
		if field == "" {
			return "it is no object (found: " + typ.Value + ")"
		}
		return "field " + strconv.Quote(field) + " cannot be what it is (found: " + typ.Value + ")"
	}
	return "it is not valid JSON"
}

// queryInt reads a number from the query; def when it is absent.
func queryInt(r *request, name string, def int64) (int64, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, api.Errorf(api.CodeInvalid, "cannot read %s=%.40q: because it is no whole number from 0 on", name, s).WithFix("leave it out")
	}
	return n, nil
}

// queryBool reads a switch from the query.
func queryBool(r *request, name string) bool {
	switch r.URL.Query().Get(name) {
	case "", "0", "false", "no":
		return false
	}
	return true
}

// metadata reads values of any plain type as text, because callers put their own
// ids into it, and some of those are numbers.
type metadata map[string]string

// UnmarshalJSON takes an object of strings, numbers and booleans.
func (m *metadata) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*m = metadata{}
	for k, v := range raw {
		var s string
		if json.Unmarshal(v, &s) != nil {
			s = string(v) // a number or boolean as it was written
		}
		if string(v) != "null" {
			(*m)[k] = s
		}
	}
	return nil
}
