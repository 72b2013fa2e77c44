package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/builds"
	"github.com/brigdev/brig/internal/template"
)

// buildRoutes make and remove templates. Whose a template or build is, builds
// decides.
func buildRoutes() []route {
	return []route{
		{"POST /v1/templates/build", accessUser, withBuilds(startBuild)},
		{"GET /v1/templates/builds", accessUser, withBuilds(listBuilds)},
		{"GET /v1/templates/builds/{build}", accessUser, withBuilds(getBuild)},
		{"DELETE /v1/templates/builds/{build}", accessUser, withBuilds(deleteBuild)},
		{"GET /v1/templates/builds/{build}/logs", accessUser, withBuilds(buildLogs)},
		{"DELETE /v1/templates/{name}", accessUser, withBuilds(deleteTemplate)},
	}
}

// withBuilds serves a route where templates can be built. An administrator acts as
// the machine's owner.
func withBuilds(f func(b *builds.Service, w http.ResponseWriter, r *request, owner string) error) handler {
	return func(s *Server, w http.ResponseWriter, r *request) error {
		if s.cfg.Builds == nil {
			return notPart("building or removing a template over HTTP")
		}
		return f(s.cfg.Builds, w, r, r.templateOwner())
	}
}

// templateOwner is who the caller is where it is asked whose a template is.
func (r *request) templateOwner() string {
	if r.admin() {
		return auth.LocalOwner
	}
	return r.owner
}

// maxBuildBody bounds a build's upload; builds bounds what is in it.
const maxBuildBody = 5 << 30

// startBuild takes a form, or JSON where there are no files.
func startBuild(b *builds.Service, w http.ResponseWriter, r *request, owner string) error {
	u, err := b.NewUpload(owner)
	if err != nil {
		return err
	}
	defer u.Discard()
	var req api.BuildRequest
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "multipart/form-data":
		r.Body = http.MaxBytesReader(w, r.Body, maxBuildBody)
		req, err = readBuildForm(r, u)
	case "application/x-www-form-urlencoded": // published clients without files
		r.Body = http.MaxBytesReader(w, r.Body, 3*maxFormField) // a byte may take three
		req, err = readBuildFields(r)
	default:
		err = readBody(w, r, maxBody, &req)
	}
	if err != nil {
		return err
	}
	build, err := u.Start(r.Context(), req)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, build)
	return nil
}

// maxFormField bounds one field of a form that is no file, and maxFormFields how
// many there are.
const (
	maxFormField  = 1 << 20
	maxFormFields = 64
)

// readBuildForm reads the variants of published clients: fields for what is asked,
// a file "rootfs", and files whose field names are their paths.
func readBuildForm(r *request, u *builds.Upload) (api.BuildRequest, error) {
	var req api.BuildRequest
	parts, err := r.MultipartReader()
	if err != nil {
		return req, badForm(err)
	}
	for fields := 0; ; {
		part, err := parts.NextRawPart()
		switch {
		case errors.Is(err, io.EOF):
			return req, nil
		case err != nil:
			return req, badForm(err)
		case part.FileName() == "":
			if fields++; fields > maxFormFields {
				return req, badForm(errors.New("it has too many fields"))
			}
			err = setBuildField(&req, part.FormName(), part)
		case part.FormName() == "rootfs":
			err = u.Rootfs(part)
		default:
			err = u.File(part.FormName(), part)
		}
		if err != nil {
			return req, err
		}
	}
}

// readBuildFields reads a form that has no files.
func readBuildFields(r *request) (api.BuildRequest, error) {
	var req api.BuildRequest
	if err := r.ParseForm(); err != nil {
		return req, badForm(err)
	}
	if len(r.PostForm) > maxFormFields {
		return req, badForm(errors.New("it has too many fields"))
	}
	for name, values := range r.PostForm {
		if err := setBuildField(&req, name, strings.NewReader(values[0])); err != nil {
			return req, err
		}
	}
	return req, nil
}

// setBuildField reads one field of a form. One that is not known is passed over.
func setBuildField(req *api.BuildRequest, name string, r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, maxFormField+1))
	if err != nil {
		return badForm(err)
	}
	if len(b) > maxFormField {
		return api.Errorf(api.CodeInvalid, "cannot read the form: because its field %.40q is larger than %s", name, api.FormatBytes(maxFormField)).WithFix("send files as files")
	}
	text := strings.ReplaceAll(string(b), "\r\n", "\n") // forms turn one into the other
	number := func(v *int64) {
		if *v, err = strconv.ParseInt(strings.TrimSpace(text), 10, 64); err != nil || *v < 0 {
			err = api.Errorf(api.CodeInvalid, "cannot read the form: because its field %s is no number", name).WithFix("leave it out")
		}
	}
	switch name {
	case "name":
		req.Name = text
	case "dockerfile":
		req.Dockerfile = text
	case "image_ref":
		req.ImageRef = text
	case "target":
		req.Target = text
	case "warm_script":
		req.WarmScript = text
	case "warm":
		req.Warm = words(text)
	case "allow_egress":
		req.AllowEgress = words(text)
	case "no_bake":
		req.NoBake = text == "1" || text == "true"
	case "args":
		if json.Unmarshal(b, &req.Args) != nil {
			return api.Errorf(api.CodeInvalid, "cannot read the form: because its field args is no JSON object of texts").WithFix(`write it like {"VERSION": "2"}`)
		}
	case "size_mb":
		number(&req.SizeMB)
	case "run_memory_mb":
		number(&req.RunMemoryMB)
	case "run_disk_mb":
		number(&req.RunDiskMB)
	case "run_timeout_seconds":
		var n int64
		number(&n)
		req.RunTimeoutSeconds = float64(n)
	}
	return err
}

// words splits a list at commas and spaces.
func words(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' })
}

func listBuilds(b *builds.Service, w http.ResponseWriter, r *request, owner string) error {
	writeJSON(w, http.StatusOK, b.List(owner, r.URL.Query().Get("name")))
	return nil
}

func getBuild(b *builds.Service, w http.ResponseWriter, r *request, owner string) error {
	build, err := b.Get(owner, r.PathValue("build"))
	return answerOr(w, build, err)
}

func deleteBuild(b *builds.Service, w http.ResponseWriter, r *request, owner string) error {
	if err := b.Remove(owner, r.PathValue("build")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// logLine is a line of a build's log on the wire.
type logLine struct {
	Line string `json:"line"`
}

// buildLogs sends the log as events, and at last an event done; with ?follow=1 when
// the build has ended. ?events=1 sends what happened as it is known inside.
func buildLogs(b *builds.Service, w http.ResponseWriter, r *request, owner string) error {
	id, events := r.PathValue("build"), queryBool(r, "events")
	if _, err := b.Get(owner, id); err != nil {
		return err
	}
	stream := newEventStream(w)
	stop := stream.start()
	defer stop()
	err := b.Log(r.Context(), owner, id, queryBool(r, "follow"), func(e template.BuildEvent) error {
		if events {
			return sendLog(stream, e)
		}
		if line := e.String(); line != "" {
			return sendLog(stream, logLine{line})
		}
		return nil
	})
	if err != nil {
		return &begunError{err}
	}
	build, err := b.Get(owner, id)
	if err != nil {
		return &begunError{err}
	}
	if build.Status == api.BuildFailed && !events {
		if err := sendLog(stream, logLine{build.Error}); err != nil {
			return &begunError{err}
		}
	}
	if err := stream.send("done", build); err != nil {
		return &begunError{err}
	}
	return nil
}

// sendLog sends one event. Published clients take the text "event: done" anywhere in
// it for the end, so a program that prints it is not to be taken at its word.
func sendLog(stream *eventStream, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return stream.send("", json.RawMessage(bytes.ReplaceAll(b.Bytes(), []byte("event: done"), []byte(`event\u003a done`))))
}

func deleteTemplate(b *builds.Service, w http.ResponseWriter, r *request, owner string) error {
	if err := b.RemoveTemplate(r.Context(), owner, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
