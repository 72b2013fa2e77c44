package httpapi

import (
	"maps"
	"net/http"

	"github.com/brigdev/brig/api"
)

// createBody is api.CreateRequest as published clients send it.
type createBody struct {
	api.CreateRequest
	Metadata metadata `json:"metadata"`
	// What this server has not: naming it is an error, not something to ignore.
	Volumes []any `json:"volumes"`
	// EgressAllowlist is another name of egress with a list.
	EgressAllowlist []string `json:"egress_allowlist"`
}

// reservedMetadata is said by the server and never by a caller.
var reservedMetadata = []string{"fork_tree_id"}

func cleanMetadata(m metadata) map[string]string {
	for _, k := range reservedMetadata {
		delete(m, k)
	}
	return m
}

func createSandbox(s *Server, w http.ResponseWriter, r *request) error {
	var body createBody
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	if len(body.Volumes) > 0 {
		return notPart("a volume")
	}
	if len(body.EgressAllowlist) > 0 && body.Egress == nil {
		body.Egress = &api.Egress{Mode: api.EgressAllow, Allow: body.EgressAllowlist}
	}
	body.CreateRequest.Metadata = cleanMetadata(body.Metadata)
	sb, err := s.cfg.Sandboxes.Create(r.Context(), r.owner, body.CreateRequest, r.Header.Get("Idempotency-Key"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, shown(sb.Info()))
	return nil
}

// shown adds to the metadata what published clients look for there.
func shown(sb api.Sandbox) api.Sandbox {
	if sb.ForkTreeID != "" {
		sb.Metadata = maps.Clone(sb.Metadata)
		sb.Metadata["fork_tree_id"] = sb.ForkTreeID
	}
	return sb
}

func getSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, shown(sb.Info()))
	return nil
}

func deleteSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.Delete(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func getLifecycle(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, sb.Lifecycle())
	return nil
}

func patchLifecycle(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var change api.LifecycleChange
	if err := readBody(w, r, maxBody, &change); err != nil {
		return err
	}
	l, err := sb.SetLifecycle(r.Context(), change)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, l)
	return nil
}

func pauseSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.Pause(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func resumeSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.Resume(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func hibernateSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.Hibernate(r.Context()); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, statusBody{sb.Info().Status})
	return nil
}

func wakeSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.Wake(r.Context()); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, statusBody{sb.Info().Status})
	return nil
}

func sandboxStats(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	st, err := sb.Stats()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, st)
	return nil
}
