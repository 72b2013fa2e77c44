package e2b

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// The TTL of a sandbox whose request names none, in seconds: clients rely on what
// the route that they use has always done.
const (
	defaultTimeoutV1 = 15
	defaultTimeoutV2 = 300
)

// createBody is E2B's NewSandbox. What this server has not is read to be refused.
type createBody struct {
	TemplateID string            `json:"templateID"`
	Timeout    *float64          `json:"timeout"`
	Metadata   map[string]string `json:"metadata"`
	EnvVars    map[string]string `json:"envVars"`
	Secure     *bool             `json:"secure"`
	Internet   *bool             `json:"allow_internet_access"`
	Network    *network          `json:"network"`
	AutoPause  bool              `json:"autoPause"`
	AutoResume *struct {
		Enabled bool `json:"enabled"`
	} `json:"autoResume"`
	AutoPauseMemory *bool            `json:"autoPauseMemory"`
	MCP             json.RawMessage  `json:"mcp"`
	VolumeMounts    []any            `json:"volumeMounts"`
	IAM             *json.RawMessage `json:"iam"`
}

func (b createBody) check() error {
	switch {
	case b.TemplateID == "":
		return api.Errorf(api.CodeInvalid, "cannot make a sandbox: because the request names no template").WithFix(`send "templateID": "base"`)
	case len(b.VolumeMounts) > 0:
		return errMissing("a volume")
	case len(b.MCP) > 0 && string(b.MCP) != "null":
		return errMissing("an MCP gateway inside a sandbox")
	case b.IAM != nil:
		return errMissing("an identity token")
	case b.AutoPauseMemory != nil && !*b.AutoPauseMemory:
		return errMissing("a pause without memory")
	}
	return nil
}

func createV1(s *Server, w http.ResponseWriter, r *request) error {
	return s.create(w, r, defaultTimeoutV1)
}

func createV2(s *Server, w http.ResponseWriter, r *request) error {
	return s.create(w, r, defaultTimeoutV2)
}

func (s *Server) create(w http.ResponseWriter, r *request, timeout float64) error {
	var body createBody
	if err := readBody(w, r.Request, maxBody, &body); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	egress, err := s.egressOf(body.Network, body.Internet)
	if err != nil {
		return err
	}
	if body.Timeout != nil {
		timeout = *body.Timeout
	}
	if err := checkTimeout(timeout); err != nil {
		return err
	}
	req := api.CreateRequest{TTLSeconds: timeout, Metadata: body.Metadata, Env: body.EnvVars, Egress: egress}
	sb, err := s.createFrom(r.Context(), r.owner, body.TemplateID, req)
	if err != nil && api.CodeOf(err) == api.CodeUnsupported && !asksForNetwork(body) {
		req.Egress = nil // the kind of isolation has no network to give
		sb, err = s.createFrom(r.Context(), r.owner, body.TemplateID, req)
	}
	if err != nil {
		return err
	}
	n, err := adopt(sb, func(n *notes) {
		n.Template, n.Timeout = body.TemplateID, timeout
		n.Open = body.Secure != nil && !*body.Secure
		n.Private = body.Network.private()
		n.AutoPause, n.AutoResume = body.AutoPause, body.AutoResume != nil && body.AutoResume.Enabled
		n.Network, n.Internet = body.Network, body.Internet
	})
	if err == nil && n.AutoPause {
		err = pauseAtEnd(r.Context(), sb)
	}
	if err != nil {
		s.discard(r.Context(), sb)
		return err
	}
	writeJSON(w, http.StatusCreated, showSandbox(sb.Info(), n))
	return nil
}

// asksForNetwork tells whether a request wants to reach something, and not just
// what is usual.
func asksForNetwork(b createBody) bool {
	return b.Internet != nil && *b.Internet || b.Network != nil && len(b.Network.AllowOut) > 0
}

// discard ends a sandbox that nobody will be told of.
func (s *Server) discard(ctx context.Context, sb *control.Sandbox) {
	if err := sb.Delete(context.WithoutCancel(ctx)); err != nil {
		s.log.Warn("cannot remove a sandbox that was half made", "id", sb.ID(), "error", err)
	}
}

// createFrom makes a sandbox of what a template's id means: one of owner's
// snapshots, a template, or a name that E2B's clients send by default.
func (s *Server) createFrom(ctx context.Context, owner, id string, req api.CreateRequest) (*control.Sandbox, error) {
	m, err := s.cfg.Sandboxes.Snapshot(ctx, owner, id)
	if err == nil {
		req.FromSnapshot = m.ID
		return s.cfg.Sandboxes.Create(ctx, owner, req, "")
	}
	if api.CodeOf(err) != api.CodeNotFound {
		return nil, err
	}
	var sb *control.Sandbox
	for _, name := range templatesFor(id) {
		req.Template = name
		if sb, err = s.cfg.Sandboxes.Create(ctx, owner, req, ""); err == nil || api.CodeOf(err) != api.CodeNotFound {
			break
		}
	}
	return sb, err
}

// templatesFor lists the templates that a name may mean, the best first. Published
// clients send the first two when their caller names none; "" is this server's own
// default.
func templatesFor(name string) []string {
	switch name {
	case "base":
		return []string{""}
	case "code-interpreter-v1":
		return []string{name, "code-interpreter", "python"}
	}
	return []string{name}
}
