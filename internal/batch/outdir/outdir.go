// Package outdir is a batch's output directory: what is in it, how each part is
// written so that a crash leaves nothing that a second run can't mend, and how
// others read it while a batch runs.
//
//	results.jsonl    one line per item; a projection of the journal
//	rejected.jsonl   the input's records that are no items, and why
//	summary.json     written when a run ends
//	artifacts/ID/    files that programs made; ID is escaped, see FolderName
//	.brig/meta.json      what the batch is: input and options
//	.brig/progress.json  how far a run is, each second
//	.brig/journal/       the durable state (internal/store)
//	.brig/input          a copy of standard input, if that was the input
package outdir

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/store"
)

// Dir is an output directory. The value is its path.
type Dir string

// The places in it.
func (d Dir) Results() string  { return filepath.Join(string(d), "results.jsonl") }
func (d Dir) Rejected() string { return filepath.Join(string(d), "rejected.jsonl") }
func (d Dir) Summary() string  { return filepath.Join(string(d), "summary.json") }
func (d Dir) Journal() string  { return filepath.Join(string(d), ".brig", "journal") }
func (d Dir) Input() string    { return filepath.Join(string(d), ".brig", "input") }
func (d Dir) meta() string     { return filepath.Join(string(d), ".brig", "meta.json") }
func (d Dir) progress() string { return filepath.Join(string(d), ".brig", "progress.json") }

// Make makes the directory. Errors: CodeInvalid when it can't be written to,
// store.ErrFull.
func (d Dir) Make() error {
	if err := os.MkdirAll(filepath.Join(string(d), ".brig"), 0o755); err != nil {
		return d.writeError(err)
	}
	if err := unix.Access(string(d), unix.W_OK|unix.X_OK); err != nil {
		return d.writeError(err)
	}
	return nil
}

// Exists tells whether a batch was begun here.
func (d Dir) Exists() bool {
	_, err := os.Stat(d.meta())
	return err == nil
}

// Forget takes back a batch that was begun and can't be run. What stays is
// rejected.jsonl, if it says something, and what is not of a batch that runs here.
func (d Dir) Forget() error {
	var errs []error
	for _, ours := range []string{d.meta(), d.progress(), d.Input(), d.Journal()} {
		errs = append(errs, os.RemoveAll(ours))
	}
	if info, err := os.Stat(d.Rejected()); err == nil && info.Size() == 0 {
		errs = append(errs, os.Remove(d.Rejected()))
	}
	for _, dir := range []string{filepath.Join(string(d), ".brig"), string(d)} {
		_ = os.Remove(dir) // fails unless it is empty
	}
	return d.writeError(errors.Join(errs...))
}

// writeFile replaces a file in one step: whoever reads it sees the old one or
// the new one. A durable one survives the machine's crash, which takes a flush
// of the disk.
func (d Dir) writeFile(name string, b []byte, durable bool) error {
	f, err := os.CreateTemp(filepath.Join(string(d), ".brig"), "tmp-*")
	if err != nil {
		return d.writeError(err)
	}
	defer os.Remove(f.Name()) // fails when it has its name
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	return d.writeError(err)
}

func (d Dir) writeJSON(name string, v any, durable bool) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return d.writeFile(name, append(b, '\n'), durable)
}

// readJSON reads what writeJSON wrote; CodeNotFound when it is not there.
func (d Dir) readJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return api.Errorf(api.CodeNotFound, "cannot read %s: because no batch was begun in %s", filepath.Base(name), d).
			WithFix("give the directory that brig batch run was given with -o")
	}
	if err != nil {
		return d.readError(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return api.Errorf(api.CodeInternal, "cannot read %s: because it is spoilt: %w", name, err).
			WithFix("take %s away and run the batch again", name)
	}
	return nil
}

// writeError classes a failed write; nil stays nil.
func (d Dir) writeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return api.Errorf(api.CodeExhausted, "cannot write to %s: because its disk has no room: %w", d, store.ErrFull).
			WithFix("free some space there, then run the same command again: it resumes")
	}
	return api.Errorf(api.CodeInvalid, "cannot write to %s: because %w", d, err).
		WithFix("give a directory that you can write to with -o")
}

func (d Dir) readError(err error) error {
	if err == nil {
		return nil
	}
	return api.Errorf(api.CodeInternal, "cannot read %s: because %w", d, err)
}
