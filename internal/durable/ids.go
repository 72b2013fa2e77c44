package durable

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/brigdev/brig/api"
)

// idChars is how many letters and digits rand.Text gives.
const idChars = 26

// NewID makes an id that nothing else has: prefix says what it names.
func NewID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// IsID tells whether a caller's word can be an id with this prefix, and so the name
// of a file.
func IsID(s, prefix string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	return ok && len(rest) == idChars && !strings.ContainsFunc(rest, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '2' || c > '7') })
}

// IDs lists the names in a directory that are ids with this prefix; none when it
// cannot be read.
func IDs(dir, prefix string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var ids []string
	for _, e := range entries {
		if IsID(e.Name(), prefix) {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// FileName stands for an owner, or anything else whose name need not be one of files.
func FileName(owner string) string {
	h := sha256.Sum256([]byte(owner))
	return hex.EncodeToString(h[:16])
}

// DiskError is for a failure of our own disk: "cannot WHAT". No path of this host is
// in it.
func DiskError(what string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return api.Errorf(api.CodeInternal, "cannot %s: because of %w", what, err).WithFix("see that the server's disk has room and works")
}
