package e2b

import (
	"net/http"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// cellTime bounds a cell, in seconds, whose caller never goes away. Clients have
// limits of their own and hang up, which interrupts the cell.
const cellTime = 24 * 3600

// execute runs one cell and streams what it says, one JSON object a line.
func execute(w http.ResponseWriter, r *http.Request, sb *control.Sandbox) error {
	var body struct {
		Code     string            `json:"code"`
		Context  *string           `json:"context_id"`
		Language *string           `json:"language"`
		EnvVars  map[string]string `json:"env_vars"`
	}
	if err := readBody(w, r, maxCodeBody, &body); err != nil {
		return err
	}
	req := api.CodeRequest{Code: body.Code, Env: body.EnvVars, Cwd: home, TimeoutSeconds: cellTime}
	var err error
	switch hasContext, hasLanguage := body.Context != nil && *body.Context != "", body.Language != nil && *body.Language != ""; {
	case hasContext && hasLanguage:
		return api.Errorf(api.CodeInvalid, "cannot run the cell: because it names a context and a language").WithFix("a context has its language: leave that out")
	case hasContext:
		req.Context, req.Language, err = realID(sb, *body.Context)
	default:
		req.Language, err = languageOf(body.Language)
	}
	if err != nil {
		return err
	}
	out := newLines(w)
	stop := out.start()
	x, err := sb.RunCode(r.Context(), req, out.cell)
	stop()
	if err != nil && !out.begun() {
		return err
	}
	out.end(x, err)
	return nil
}
