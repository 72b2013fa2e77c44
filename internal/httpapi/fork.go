package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

// forkBody is api.ForkRequest as published clients send it.
type forkBody struct {
	api.ForkRequest
	Metadata metadata `json:"metadata"`
}

// forkReply has the children where each kind of client looks.
type forkReply struct {
	api.ForkResult
	Sandbox api.Sandbox `json:"sandbox"` // the first child
}

// forkSandbox makes one child unless told otherwise.
func forkSandbox(s *Server, w http.ResponseWriter, r *request) error { return fork(s, w, r, 1) }

// forkTree makes two.
func forkTree(s *Server, w http.ResponseWriter, r *request) error { return fork(s, w, r, 2) }

func fork(s *Server, w http.ResponseWriter, r *request, count int) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body forkBody
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	if body.Count == 0 {
		body.Count = count
	}
	body.ForkRequest.Metadata = cleanMetadata(body.Metadata)
	result, err := sb.Fork(r.Context(), body.ForkRequest)
	if err != nil {
		return err
	}
	for i := range result.Children {
		result.Children[i] = shown(result.Children[i])
	}
	writeJSON(w, http.StatusCreated, forkReply{result, result.Children[0]})
	return nil
}

// promoteBody says what becomes of the others.
type promoteBody struct {
	CleanupSiblings bool   `json:"cleanup_siblings"` // default true
	TreeID          string `json:"tree_id"`          // default: that of the child
}

// promoteSandbox keeps one child of a fork. Siblings are destroyed unless the
// caller says otherwise.
func promoteSandbox(s *Server, w http.ResponseWriter, r *request) error {
	body := promoteBody{CleanupSiblings: true}
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	result, err := s.cfg.Sandboxes.Promote(r.Context(), r.owner, r.PathValue("id"), body.TreeID, !body.CleanupSiblings)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, result)
	return nil
}
