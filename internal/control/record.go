package control

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

// record is what is kept of a sandbox, in memory and on disk.
type record struct {
	api.Sandbox
	Owner string `json:"owner"`
	// Box is the host's id of what runs; it changes when a sandbox wakes.
	Box string `json:"box,omitempty"`
	// HibernatedIn is the snapshot that it sleeps in.
	HibernatedIn string            `json:"hibernated_in,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	FullLimits   api.Limits        `json:"full_limits"`
	// HibernateAtEnd: at its deadline it hibernates for as long as a TTL may be.
	HibernateAtEnd bool `json:"hibernate_at_end,omitempty"`
	// Notes belong to another API than ours.
	Notes json.RawMessage `json:"notes,omitempty"`
	// Doors is who may reach its ports.
	Doors doors `json:"doors,omitzero"`
	// IdempotencyKey and Request let a repeated create find its sandbox.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	Request        string `json:"request,omitempty"` // hash
}

// living tells whether the sandbox has not ended.
func (r record) living() bool { return r.Status != api.StatusDeleted && r.Status != api.StatusFailed }

// left is how long it may live from now.
func (r record) left() time.Duration { return time.Until(r.ExpiresAt) }

// journal is the directory of a Service:
//
//	id                  names this Service in the snapshots that are its own
//	records/<id>.json   one sandbox
//	events/<id>.jsonl   what happened to it
//	logs/<id>.jsonl     the end of what its programs printed
type journal struct {
	dir string
}

func openJournal(dir string) (journal, error) {
	for _, sub := range []string{"records", "events", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return journal{}, badDir(err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "output-*")) // the pattern is a good one
	for _, f := range left {
		_ = os.Remove(f) // a server died before it did: see wheel.move
	}
	return journal{dir: dir}, nil
}

func badDir(err error) error {
	return api.Errorf(api.CodeUnavailable, "cannot keep records of sandboxes: because %w", err).
		WithFix("set BRIG_STATE to a directory that you can write to")
}

func (j journal) file(kind, id, ext string) string { return filepath.Join(j.dir, kind, id+ext) }

// load reads all records. One that is damaged is left out: a half-written one
// never gets its name.
func (j journal) load() ([]record, error) {
	files, err := filepath.Glob(filepath.Join(j.dir, "records", "*.json"))
	if err != nil {
		return nil, badDir(err)
	}
	var list []record
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, badDir(err)
		}
		var r record
		if json.Unmarshal(b, &r) == nil && r.ID == strings.TrimSuffix(filepath.Base(f), ".json") {
			list = append(list, r)
		}
	}
	return list, nil
}

// save replaces a record.
func (j journal) save(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return badDir(err)
	}
	if err := replaceFile(j.file("records", r.ID, ".json"), b); err != nil {
		return badDir(err)
	}
	return nil
}

// forget removes all that is kept of a sandbox.
func (j journal) forget(id string) {
	for kind, ext := range map[string]string{"records": ".json", "events": ".jsonl", "logs": ".jsonl"} {
		_ = os.Remove(j.file(kind, id, ext)) // what stays is taken up or dropped by the next Service
	}
}

// replaceFile writes a file beside its name and renames it.
func replaceFile(name string, b []byte) error {
	tmp := name + ".part"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

// readLines reads the JSON lines of a file that may not exist; damaged ones are
// left out.
func readLines[T any](name string) ([]T, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, badDir(err)
	}
	var list []T
	for line := range strings.Lines(string(b)) {
		var v T
		if json.Unmarshal([]byte(line), &v) == nil {
			list = append(list, v)
		}
	}
	return list, nil
}
