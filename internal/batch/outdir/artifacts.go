package outdir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
)

const (
	maxFolderBytes = 200 // of an escaped custom_id that is kept whole
	maxNameBytes   = 200 // of one escaped component of an artifact's path
	maxComponents  = 32
)

// FolderName is the name of an item's folder below artifacts/: the custom_id
// with every byte outside A-Z a-z 0-9 . _ - as %XX, and a leading dot too. One
// that gets longer than 200 bytes is cut and ends in ~ and a hash of the whole.
// Two ids never share a folder, and none leaves artifacts/.
func FolderName(customID string) string { return escape(customID, maxFolderBytes) }

func escape(s string, max int) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' && i > 0
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= max {
		return b.String()
	}
	h := sha256.Sum256([]byte(s))
	return b.String()[:max-33] + "~" + hex.EncodeToString(h[:16])
}

// ArtifactPath gives the path below an item's folder for a file that a guest
// named, each component escaped as in FolderName. ok is false for a path that
// no file can have: empty, with "." or ".." in it, or deeper than 32.
func ArtifactPath(guestPath string) (name string, ok bool) {
	parts := strings.Split(guestPath, "/")
	if len(parts) > maxComponents {
		return "", false
	}
	for i, p := range parts {
		if p == "" || p == "." || p == ".." || strings.ContainsRune(p, 0) {
			return "", false
		}
		parts[i] = escape(p, maxNameBytes)
	}
	return strings.Join(parts, "/"), true
}

// Artifacts is one item's folder. Nothing is written outside of it.
type Artifacts struct {
	dir  Dir
	root *os.Root
}

// OpenArtifacts makes an item's folder, empty: an earlier attempt may have left
// files.
func (d Dir) OpenArtifacts(customID string) (*Artifacts, error) {
	folder := filepath.Join(string(d), "artifacts", FolderName(customID))
	if err := os.RemoveAll(folder); err != nil {
		return nil, d.writeError(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, d.writeError(err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, d.writeError(err)
	}
	return &Artifacts{d, root}, nil
}

// RemoveArtifacts removes an item's folder, if there is one.
func (d Dir) RemoveArtifacts(customID string) error {
	return d.writeError(os.RemoveAll(filepath.Join(string(d), "artifacts", FolderName(customID))))
}

// Save writes one file. fill writes its content; when that fails, nothing is
// left of the file and the error is fill's own.
func (a *Artifacts) Save(name string, fill func(*os.File) error) (api.Artifact, error) {
	if err := a.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return api.Artifact{}, a.dir.writeError(err)
	}
	f, err := a.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return api.Artifact{}, a.dir.writeError(err)
	}
	if err := fill(f); err != nil {
		return api.Artifact{}, errors.Join(err, f.Close(), a.root.Remove(name))
	}
	sum, size, err := hashFile(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return api.Artifact{}, a.dir.writeError(err)
	}
	return api.Artifact{Path: name, Bytes: size, SHA256: sum}, nil
}

// Close closes the folder.
func (a *Artifacts) Close() error { return a.root.Close() }

// IsWriteError tells an error of our own disk from one of whoever fills a file.
func IsWriteError(err error) bool {
	var pathErr *fs.PathError
	return errors.As(err, &pathErr)
}
