package outdir

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/brigdev/brig/api"
)

const metaVersion = 1

// Meta is what a batch is. A second run in the same directory must have the
// same, or its results would not belong to the first one's.
type Meta struct {
	Version int               `json:"version"`
	Input   Identity          `json:"input"`
	Options map[string]string `json:"options"` // by flag; never to be changed
	Limits  map[string]string `json:"limits"`  // by flag; may be changed to retry what failed
}

// Identity is what an input is: its content, wherever it lies.
type Identity struct {
	Path   string `json:"path"`   // absolute; where it was when the batch began
	Bytes  int64  `json:"bytes"`  // of a directory: of its files together
	SHA256 string `json:"sha256"` // of a directory: of its files' names, sizes and times
}

// Identify reads the whole input once.
func Identify(path string) (Identity, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Identity{}, api.Errorf(api.CodeInternal, "cannot find %s: because the working directory is gone: %w", path, err)
	}
	id := Identity{Path: abs}
	h := sha256.New()
	info, err := os.Stat(abs)
	switch {
	case err == nil && info.IsDir():
		err = fs.WalkDir(os.DirFS(abs), ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err == nil {
				id.Bytes += info.Size()
				fmt.Fprintf(h, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
			}
			return err
		})
	case err == nil:
		var f *os.File
		if f, err = os.Open(abs); err == nil {
			defer f.Close()
			id.Bytes, err = io.Copy(h, f)
		}
	}
	if err != nil {
		return Identity{}, api.Errorf(api.CodeInvalid, "cannot read the input %s: because %w", path, err).WithFix("give a file or a directory that you can read")
	}
	id.SHA256 = hex.EncodeToString(h.Sum(nil))
	return id, nil
}

// ReadMeta reads what batch this directory belongs to.
func (d Dir) ReadMeta() (Meta, error) {
	var m Meta
	if err := d.readJSON(d.meta(), &m); err != nil {
		return Meta{}, err
	}
	if m.Version != metaVersion {
		return Meta{}, api.Errorf(api.CodeInvalid, "cannot resume in %s: because its format is version %d and this brig writes %d", d, m.Version, metaVersion).
			WithFix("use the brig that began it, or another directory with -o")
	}
	return m, nil
}

// WriteMeta begins a batch.
func (d Dir) WriteMeta(m Meta) error {
	m.Version = metaVersion
	return d.writeJSON(d.meta(), m, true)
}

// Same says what makes now another batch than the one that was begun here.
// Limits count unless the run is there to retry what failed.
func (d Dir) Same(begun, now Meta, retry bool) error {
	if begun.Input.SHA256 != now.Input.SHA256 || begun.Input.Bytes != now.Input.Bytes {
		return api.Errorf(api.CodeInvalid, "cannot resume in %s: because the batch there was begun with another input (%s, %d bytes; now %d bytes)",
			d, begun.Input.Path, begun.Input.Bytes, now.Input.Bytes).
			WithFix("give the same input, or another directory with -o")
	}
	if err := d.sameOptions(begun.Options, now.Options, "give the same, or another directory with -o"); err != nil || retry {
		return err
	}
	return d.sameOptions(begun.Limits, now.Limits, "give the same, add --retry-failed, or give another directory with -o")
}

func (d Dir) sameOptions(begun, now map[string]string, fix string) error {
	names := slices.Sorted(maps.Keys(now))
	for name := range begun {
		if _, ok := now[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if begun[name] != now[name] {
			return api.Errorf(api.CodeInvalid, "cannot resume in %s: because %s was %q and now is %q", d, name, begun[name], now[name]).WithFix("%s", fix)
		}
	}
	return nil
}
