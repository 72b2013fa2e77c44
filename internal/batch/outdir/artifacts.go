package outdir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
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

// Close closes the folder.
func (a *Artifacts) Close() error { return a.root.Close() }

// Create makes one file; name comes from ArtifactPath. The caller ends it with
// Commit or Discard.
func (a *Artifacts) Create(name string) (*ArtifactFile, error) {
	if err := a.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return nil, a.dir.writeError(err)
	}
	f, err := a.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, a.dir.writeError(err)
	}
	return &ArtifactFile{in: a, name: name, file: f, hash: sha256.New()}, nil
}

// ArtifactFile is an artifact that is being written.
type ArtifactFile struct {
	in   *Artifacts
	name string
	file *os.File
	hash hash.Hash
	size int64
	err  error // the first failure of our own disk
}

// Write implements io.Writer.
func (f *ArtifactFile) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	f.hash.Write(b[:n])
	f.size += int64(n)
	if f.err == nil {
		f.err = err
	}
	return n, err
}

// Commit makes the file durable.
func (f *ArtifactFile) Commit() (api.Artifact, error) {
	if err := errors.Join(f.err, f.file.Sync(), f.file.Close()); err != nil {
		return api.Artifact{}, f.in.dir.writeError(err)
	}
	return api.Artifact{Path: f.name, Bytes: f.size, SHA256: hex.EncodeToString(f.hash.Sum(nil))}, nil
}

// Discard removes the file. Its error is of our own disk, as is one that an
// earlier Write had.
func (f *ArtifactFile) Discard() error {
	return f.in.dir.writeError(errors.Join(f.err, f.file.Close(), f.in.root.Remove(f.name)))
}
