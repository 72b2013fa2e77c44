package e2b

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/host"
)

// home is where cells begin, as E2B's users expect: beside the files that they
// wrote with relative paths.
const home = "/home/user"

// Interpreter serves a request that was routed to a sandbox's port 49999. Every
// template has it, as far as it has the language's interpreter. When it returns an
// error, nothing was written.
func (s *Server) Interpreter(w http.ResponseWriter, r *http.Request, sb *control.Sandbox) error {
	n, known := notesOf(sb)
	if !s.admit(w, r, sb, known && mayUseInterpreter(r, n)) {
		return nil
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /health":
		writeJSON(w, http.StatusOK, "OK")
		return nil
	case "POST /execute":
		return execute(w, r, sb)
	case "GET /contexts":
		return listContexts(w, sb)
	case "POST /contexts":
		return openContext(w, r, sb)
	}
	id, one := strings.CutPrefix(r.URL.Path, "/contexts/")
	restarted, restart := strings.CutSuffix(id, "/restart")
	switch {
	case one && restart && r.Method == http.MethodPost:
		return withContext(w, r, sb, restarted, sb.RestartContext)
	case one && r.Method == http.MethodDelete:
		return withContext(w, r, sb, id, sb.CloseContext)
	}
	return api.Errorf(api.CodeNotFound, "cannot serve %.200q: because there is no such route", r.URL.Path).WithFix("docs/e2b.md lists the routes")
}

// mayUseInterpreter tells whether a request may use contexts, for which clients send
// the traffic token alone, or run code in them.
func mayUseInterpreter(r *http.Request, n notes) bool {
	if n.Open && !n.Private || same(r.Header.Get(headerEnvd), n.EnvdToken) {
		return true
	}
	return strings.HasPrefix(r.URL.Path, "/contexts") && same(r.Header.Get(headerTraffic), n.TrafficToken)
}

// contextBody is a context of cells.
type contextBody struct {
	ID       string `json:"id"`
	Language string `json:"language"`
	Cwd      string `json:"cwd"`
}

// Clients know each language's default context by a fixed id, whether it was used
// yet or not.
const defaultPrefix = "default-"

func showContext(c api.CodeContext) contextBody {
	if c.Default {
		return contextBody{defaultPrefix + c.Language, c.Language, c.Cwd}
	}
	return contextBody{c.ID, c.Language, c.Cwd}
}

// languages are those that have a default context from the start.
func languages() []string { return []string{"python", "javascript"} }

func listContexts(w http.ResponseWriter, sb *control.Sandbox) error {
	list := []contextBody{}
	for _, c := range sb.Contexts() {
		list = append(list, showContext(c))
	}
	for _, language := range languages() {
		if !slices.ContainsFunc(list, func(c contextBody) bool { return c.ID == defaultPrefix+language }) {
			list = append(list, contextBody{defaultPrefix + language, language, home})
		}
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func openContext(w http.ResponseWriter, r *http.Request, sb *control.Sandbox) error {
	var body struct {
		Language *string `json:"language"`
		Cwd      *string `json:"cwd"`
	}
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	language, err := languageOf(body.Language)
	if err != nil {
		return err
	}
	cwd := home
	if body.Cwd != nil && *body.Cwd != "" {
		cwd = *body.Cwd
	}
	if err := checkDir(r.Context(), sb, cwd); err != nil {
		return err
	}
	c, err := sb.OpenContext(r.Context(), language, cwd)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, showContext(c))
	return nil
}

// languageOf reads a language as E2B's clients write it; "" is Python.
func languageOf(name *string) (string, error) {
	if name == nil {
		return "python", nil
	}
	switch strings.ToLower(*name) {
	case "", "python", "python3", "py":
		return "python", nil
	case "javascript", "js", "node":
		return "javascript", nil
	case "typescript", "ts", "r", "java", "bash":
		return "", errMissing("running cells in " + strings.ToLower(*name))
	}
	return "", api.Errorf(api.CodeInvalid, "cannot run cells in %.40q: because there is no such language", *name).WithFix("use python or javascript")
}

// checkDir says early, and in our words, that a kernel could not begin there.
func checkDir(ctx context.Context, sb *control.Sandbox, dir string) error {
	return sb.With(ctx, func(box host.Session) error {
		info, err := box.Stat(ctx, dir)
		if err == nil && info.Kind == api.FileSymlink {
			return nil // the kernel finds out
		}
		if err != nil && api.CodeOf(err) != api.CodeNotFound {
			return err
		}
		if err != nil || info.Kind != api.FileDir {
			return api.Errorf(api.CodeInvalid, "cannot open a context in %.200q: because there is no such directory", dir).WithFix("make it first")
		}
		return nil
	})
}

// realID finds our id of a context: of a default one that nobody has used yet it
// is "".
func realID(sb *control.Sandbox, id string) (real, language string, err error) {
	for _, c := range sb.Contexts() {
		if c.ID == id || showContext(c).ID == id {
			return c.ID, c.Language, nil
		}
	}
	if language, ok := strings.CutPrefix(id, defaultPrefix); ok && slices.Contains(languages(), language) {
		return "", language, nil
	}
	return "", "", api.Errorf(api.CodeNotFound, "cannot find context %.80q: because there is none", id).WithFix("list them with GET /contexts")
}

// withContext does something with a context; one that nobody has used is empty
// already.
func withContext(w http.ResponseWriter, r *http.Request, sb *control.Sandbox, id string, do func(context.Context, string) error) error {
	real, _, err := realID(sb, id)
	if err != nil {
		return err
	}
	if real != "" {
		if err := do(r.Context(), real); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
