package httpapi

import (
	"net/http"
	"time"

	"github.com/brigdev/brig/api"
)

// snapshotBody is a snapshot as published clients read it: with references where
// they expect host paths.
type snapshotBody struct {
	api.Snapshot
	SandboxID string `json:"sandbox_id"`
	Workspace string `json:"workspace,omitempty"`
	MemPath   string `json:"mem_path"`
	StatePath string `json:"state_path"`
}

func showSnapshot(m api.Snapshot) snapshotBody {
	return snapshotBody{Snapshot: m, SandboxID: m.Sandbox, Workspace: m.Owner, MemPath: "snapshot:" + m.ID, StatePath: "snapshot:" + m.ID}
}

// snapshotRequest asks for a snapshot; without a TTL it is kept until it is removed.
type snapshotRequest struct {
	Name       string  `json:"name"`
	TTLSeconds float64 `json:"ttl_seconds"`
}

func createSnapshot(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body snapshotRequest
	if err := readBody(w, r, maxBody, &body); err != nil {
		return err
	}
	m, err := sb.Snapshot(r.Context(), body.Name, time.Duration(body.TTLSeconds*float64(time.Second)))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, showSnapshot(m))
	return nil
}

func listSnapshots(s *Server, w http.ResponseWriter, r *request) error {
	list, err := s.cfg.Sandboxes.Snapshots(r.Context(), r.owner, r.URL.Query().Get("sandbox_id"))
	if err != nil {
		return err
	}
	list, err = page(w, r, list, func(m api.Snapshot) string { return newestFirst(m.CreatedAt, m.ID) })
	if err != nil {
		return err
	}
	out := []snapshotBody{}
	for _, m := range list {
		out = append(out, showSnapshot(m))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func getSnapshot(s *Server, w http.ResponseWriter, r *request) error {
	m, err := s.cfg.Sandboxes.Snapshot(r.Context(), r.owner, r.PathValue("snapshot"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, showSnapshot(m))
	return nil
}

func deleteSnapshot(s *Server, w http.ResponseWriter, r *request) error {
	if err := s.cfg.Sandboxes.RemoveSnapshot(r.Context(), r.owner, r.PathValue("snapshot")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
