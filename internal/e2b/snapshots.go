package e2b

import (
	"net/http"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// snapshotBody is a snapshot; its id is a template's id for who creates.
type snapshotBody struct {
	SnapshotID string   `json:"snapshotID"`
	Names      []string `json:"names"`
}

func showSnapshot(m api.Snapshot) snapshotBody {
	b := snapshotBody{SnapshotID: m.ID, Names: []string{}}
	if m.Name != "" {
		b.Names = append(b.Names, m.Name)
	}
	return b
}

func createSnapshot(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := readBody(w, r.Request, maxBody, &body); err != nil {
		return err
	}
	if err := refusePaused(sb); err != nil {
		return err
	}
	m, err := sb.Snapshot(r.Context(), body.Name, 0)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, showSnapshot(m))
	return nil
}

func listSnapshots(s *Server, w http.ResponseWriter, r *request) error {
	q := r.URL.Query()
	all, err := s.cfg.Sandboxes.Snapshots(r.Context(), r.owner, q.Get("sandboxID"))
	if err != nil {
		return err
	}
	list := []api.Snapshot{}
	for _, m := range all {
		if name := q.Get("name"); name == "" || name == m.Name || name == m.ID {
			list = append(list, m)
		}
	}
	list, err = cut(w, r, list, false, func(m api.Snapshot) place { return place{m.CreatedAt, m.ID} })
	if err != nil {
		return err
	}
	page := []snapshotBody{}
	for _, m := range list {
		page = append(page, showSnapshot(m))
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// forkedBody is one child, or why there is none.
type forkedBody struct {
	Sandbox *sandboxBody `json:"sandbox,omitempty"`
	Error   *errorBody   `json:"error,omitempty"`
}

// forkSandbox makes children of this moment. Each has tokens of its own, and what
// else its parent was made with.
func forkSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	body := struct {
		Timeout *float64 `json:"timeout"`
		Count   *int     `json:"count"`
	}{}
	if err := readBody(w, r.Request, maxBody, &body); err != nil {
		return err
	}
	timeout, count := float64(defaultTimeoutV2), 1
	if body.Timeout != nil {
		timeout = *body.Timeout
	}
	if body.Count != nil {
		count = *body.Count
	}
	if err := checkTimeout(timeout); err != nil {
		return err
	}
	if count < 1 { // for control, 0 is what is usual
		return api.Errorf(api.CodeInvalid, "cannot make %d children: because that is too few", count).WithFix("leave the count out for one")
	}
	if err := refusePaused(sb); err != nil {
		return err
	}
	result, err := sb.Fork(r.Context(), api.ForkRequest{Count: count, TTLSeconds: max(timeout, minTimeout)})
	if err != nil {
		return err
	}
	list := []forkedBody{}
	for _, child := range result.Children {
		list = append(list, s.showChild(r, sb, child.ID, timeout))
	}
	for _, e := range result.Errors {
		list = append(list, forkedBody{Error: &errorBody{Code: http.StatusServiceUnavailable, Message: e.Err}})
	}
	writeJSON(w, http.StatusCreated, list)
	return nil
}

func (s *Server) showChild(r *request, parent *control.Sandbox, id string, timeout float64) forkedBody {
	child, err := s.cfg.Sandboxes.Find(r.owner, id)
	if err != nil {
		return forkedBody{Error: &errorBody{Code: http.StatusNotFound, Message: err.Error()}}
	}
	before, _ := notesOf(parent)
	n, err := adopt(child, func(n *notes) {
		before.EnvdToken, before.TrafficToken, before.Timeout = n.EnvdToken, n.TrafficToken, timeout
		*n = before
	})
	if err == nil && n.AutoPause {
		err = pauseAtEnd(r.Context(), child)
	}
	if err != nil {
		s.discard(r.Context(), child)
		return forkedBody{Error: &errorBody{Code: http.StatusInternalServerError, Message: "cannot keep the child"}}
	}
	b := showSandbox(child.Info(), n)
	return forkedBody{Sandbox: &b}
}
