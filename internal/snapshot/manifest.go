package snapshot

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
)

// What a manifest may have. Ours are far below.
const (
	maxManifest = 1 << 20 // bytes
	maxFiles    = 64
)

const (
	manifestName = "manifest.json"
	sumName      = "manifest.sum"
	filesName    = "files"
	pinsName     = "pins"
	checkedName  = "checked"
	idPrefix     = "snap-"
)

// errNoFormat says that another version of Brig wrote a manifest.
var errNoFormat = errors.New("another format")

const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	base32  = lower + "234567"
	idChars = 13 // of base32, after the prefix
)

// isID tells a snapshot's id from what must not become a path.
func isID(s string) bool {
	rest, ok := strings.CutPrefix(s, idPrefix)
	return ok && len(rest) == idChars && only(rest, base32)
}

// isName tells the name of a driver's file, or of whoever pins, from what must
// not become a path.
func isName(s string) bool {
	return s != "" && len(s) <= 128 && only(s[:1], lower+upper+digits) && only(s, lower+upper+digits+"._-")
}

func isSum(s string) bool { return len(s) == 64 && only(s, digits+"abcdef") }

func only(s, chars string) bool { return strings.Trim(s, chars) == "" }

// newID makes an id nobody else has: 65 random bits.
func newID() string { return idPrefix + strings.ToLower(rand.Text()[:idChars]) }

// checkID refuses what is no snapshot's id before it becomes a path.
func checkID(id string) error {
	if isID(id) {
		return nil
	}
	return api.Errorf(api.CodeInvalid, "cannot use %s as a snapshot's id: because it is not snap- and 13 of a-z and 2-7", quote(id)).
		WithFix("see 'brig snapshot ls' for those that exist")
}

// readManifest reads and checks the manifest of the snapshot in dir. Errors:
// errNoFormat; else it is damaged, and the error says how.
func readManifest(dir string) (api.Snapshot, error) {
	data, err := readSmall(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return api.Snapshot{}, errors.New("it has no manifest")
	}
	if err != nil {
		return api.Snapshot{}, fmt.Errorf("its manifest cannot be read: %w", unpath(err))
	}
	if err := checkFormat(data); err != nil {
		return api.Snapshot{}, err
	}
	sum, err := readSmall(filepath.Join(dir, sumName))
	if err != nil {
		return api.Snapshot{}, errors.New("the checksum of its manifest cannot be read")
	}
	if string(sum) != manifestSum(data) {
		return api.Snapshot{}, errors.New("its manifest has changed")
	}
	m, err := parseManifest(data)
	if err == nil && m.ID != filepath.Base(dir) {
		err = fmt.Errorf("its manifest is that of %s", quote(m.ID))
	}
	return m, err
}

// checkFormat comes before all else: another format may have other rules.
func checkFormat(data []byte) error {
	var v struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("its manifest is no JSON: %w", err)
	}
	if v.Format != api.SnapshotFormat {
		return fmt.Errorf("%w: its format is %d and this Brig reads format %d", errNoFormat, v.Format, api.SnapshotFormat)
	}
	return nil
}

// parseManifest decodes a manifest and refuses one that Create would not write.
func parseManifest(data []byte) (api.Snapshot, error) {
	if err := checkFormat(data); err != nil {
		return api.Snapshot{}, err
	}
	var m api.Snapshot
	if err := json.Unmarshal(data, &m); err != nil {
		return api.Snapshot{}, fmt.Errorf("its manifest is no manifest: %w", err)
	}
	return m, checkManifest(m)
}

func checkManifest(m api.Snapshot) error {
	if !isID(m.ID) {
		return fmt.Errorf("its manifest has the id %s", quote(m.ID))
	}
	if err := checkMeta(m); err != nil {
		return err
	}
	if len(m.Files) == 0 || len(m.Files) > maxFiles {
		return fmt.Errorf("its manifest lists %d files", len(m.Files))
	}
	seen, total := map[string]bool{}, int64(0)
	for _, f := range m.Files {
		switch {
		case !isName(f.Name) || seen[f.Name]:
			return fmt.Errorf("its manifest lists the file %s", quote(f.Name))
		case f.Size < 0 || f.Size > math.MaxInt64-total:
			return fmt.Errorf("its manifest gives %s a size of %d bytes", f.Name, f.Size)
		case !isSum(f.SHA256):
			return fmt.Errorf("its manifest gives %s the checksum %s", f.Name, quote(f.SHA256))
		}
		seen[f.Name] = true
		total += f.Size
	}
	if m.SizeBytes != total {
		return fmt.Errorf("its manifest gives it %d bytes and its files %d", m.SizeBytes, total)
	}
	return nil
}

// checkMeta looks at what the caller of Create chose.
func checkMeta(m api.Snapshot) error {
	for _, f := range []struct{ name, value string }{
		{"sandbox", m.Sandbox}, {"template", m.Template}, {"digest", m.Digest}, {"driver", m.Driver}, {"key", m.Key},
	} {
		if f.value == "" {
			return fmt.Errorf("its manifest has no %s", f.name)
		}
	}
	switch {
	case m.Parent != "" && !isID(m.Parent):
		return fmt.Errorf("its manifest has the parent %s", quote(m.Parent))
	case m.CreatedAt.IsZero():
		return errors.New("its manifest has no time")
	case !m.ExpiresAt.IsZero() && m.ExpiresAt.Before(m.CreatedAt):
		return errors.New("its manifest says that it expired before it was made")
	case m.PausedMS < 0:
		return fmt.Errorf("its manifest says that it took %d ms", m.PausedMS)
	}
	return nil
}

func manifestSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]) + "\n"
}

// readSmall reads a file of ours that cannot be large.
func readSmall(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(data) > maxManifest {
		err = fmt.Errorf("it has more than %d bytes", maxManifest)
	}
	return data, err
}
