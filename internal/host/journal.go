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
// What has to be survived is the death of this process, and the page cache does:
// nothing is synced to the disk. A crash of the machine takes the boxes with it,
// and records that outlive it are harmless.
type journal struct{ dir string }

func (o *owner) journal() journal {
	return journal{filepath.Join(o.dir, boxesDirName)}
}

// write makes or changes a record, in place and with a single write. A rename
// over the old one would have a disk filesystem write it out at once, which takes
// milliseconds of each sandbox's start. Should the process be killed between
// making the file and filling it, its name is all that recovery needs; and what
// is left of a longer old record after a new one is not read.
func (j journal) write(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return badJournal(r.Info.ID, err)
	}
	f, err := os.OpenFile(j.path(r.Info.ID), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return badJournal(r.Info.ID, err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
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
	if err := os.Remove(j.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (j journal) path(id string) string { return filepath.Join(j.dir, id+".json") }

// read gives all records. One that cannot be read, or that is being made, has its
// id, from the file's name, and no driver.
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
		r, err := j.readOne(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // destroyed meanwhile
		}
		if err != nil || r.Handle.ID != id || r.Info.ID != id {
			r = record{Info: api.SandboxInfo{ID: id}, Handle: driver.Handle{ID: id}}
		}
		list = append(list, r)
	}
	return list, nil
}

func (j journal) readOne(id string) (r record, err error) {
	f, err := os.Open(j.path(id))
	if err != nil {
		return r, err
	}
	defer f.Close()
	return r, json.NewDecoder(f).Decode(&r)
}

func badJournal(id string, err error) error {
	return api.Errorf(api.CodeInternal, "cannot write the journal for sandbox %s: because %w", id, err).
		WithFix("make room in the state directory (BRIG_STATE), then try again")
}
