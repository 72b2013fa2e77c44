package host

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// record is what the journal holds of one box. Before the box exists, Handle has
// only the driver and the id: enough to destroy whatever came of it.
type record struct {
	Info   api.SandboxInfo `json:"info"`
	Handle driver.Handle   `json:"handle"`
}

// journal is the boxes directory of one owner. A record is written before its
// box's first kernel object and removed after the last one is gone, so that
// whatever this process leaves behind when it is killed can be found.
//
// Nothing is synced to the disk. What has to be survived is the death of this
// process, and the page cache does; a crash of the machine takes the boxes with
// it, and records that outlive it are harmless.
type journal struct{ dir string }

// tempPrefix begins the name of a record that is being written.
const tempPrefix = ".tmp-"

func (o *owner) journal() journal {
	return journal{filepath.Join(o.dir, boxesDirName)}
}

// write puts a record in place in one step: there is never a part of one.
func (j journal) write(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return badJournal(r.Info.ID, err)
	}
	// One writer a box, so the temporary name needs no more than the id.
	temp := filepath.Join(j.dir, tempPrefix+r.Info.ID)
	if err := os.WriteFile(temp, b, 0o600); err != nil {
		os.Remove(temp)
		return badJournal(r.Info.ID, err)
	}
	if err := os.Rename(temp, j.path(r.Info.ID)); err != nil {
		os.Remove(temp)
		return badJournal(r.Info.ID, err)
	}
	return nil
}

// remove forgets a box that is gone. It is idempotent.
func (j journal) remove(id string) error {
	if err := os.Remove(j.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return badJournal(id, err)
	}
	return nil
}

// removeDir removes the journal itself, unless a record is left in it.
func (j journal) removeDir() error {
	entries, err := os.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			os.Remove(filepath.Join(j.dir, e.Name()))
		}
	}
	return os.Remove(j.dir)
}

func (j journal) path(id string) string { return filepath.Join(j.dir, id+".json") }

// read gives all records. One that cannot be read keeps its id, from the file's
// name, and has no driver. Temporary files are skipped: their boxes never began.
func (j journal) read() ([]record, error) {
	entries, err := os.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // an owner that died while it registered, or is being removed
	}
	if err != nil {
		return nil, badStateDir(err)
	}
	var list []record
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		b, err := os.ReadFile(j.path(id))
		if errors.Is(err, fs.ErrNotExist) {
			continue // destroyed meanwhile
		}
		var r record
		if err != nil || json.Unmarshal(b, &r) != nil || r.Handle.ID != id {
			r = record{Info: api.SandboxInfo{ID: id}, Handle: driver.Handle{ID: id}}
		}
		list = append(list, r)
	}
	return list, nil
}

func badJournal(id string, err error) error {
	return api.Errorf(api.CodeInternal, "cannot write the journal for sandbox %s: because %w", id, err).
		WithFix("make room in the state directory (BRIG_STATE), then try again")
}
