package image

import (
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

// Kind is what a name in an image is.
type Kind uint8

// The kinds that an image holds.
const (
	File Kind = iota
	Dir
	Symlink
)

// Entry describes one name of a root filesystem.
type Entry struct {
	Path   string // from the root, with or without a leading slash
	Kind   Kind
	Mode   uint32 // permissions and the sticky bit; set-id bits are dropped
	UID    uint32
	GID    uint32
	MTime  time.Time // zero means Epoch
	Size   int64     // of a File
	Target string    // of a Symlink
}

// Epoch is the modification time of what has none of its own. It is after 1980,
// because zip archives cannot hold an earlier one.
var Epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Limits bound what a source may put into an image. Zero means the default.
type Limits struct {
	Entries int   // names; default 500,000. A long name or target counts more than once
	Bytes   int64 // of file data; default 16 GiB
}

const (
	defaultEntries = 500_000
	defaultBytes   = 16 << 30
	maxName        = 255  // bytes of one path component, as everywhere in Linux
	maxTarget      = 4095 // bytes of a symlink's target
	maxDepth       = 128  // path components
)

// SplitPath takes a path apart. It accepts "./a/b/" and "/a/b" and refuses what
// could mean a place outside the root.
func SplitPath(path string) ([]string, error) {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..":
			return nil, Refuse(path, "it has a .. in it")
		case len(part) > maxName:
			return nil, Refuse(path, "a name in it is longer than 255 bytes")
		case strings.IndexByte(part, 0) >= 0:
			return nil, Refuse(path, "it has a NUL byte in it")
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) > maxDepth {
		return nil, Refuse(path, "it is deeper than 128 directories")
	}
	return parts, nil
}

// Refuse says which entry of a source is not taken. The path is the source's
// word: quoted and clipped.
func Refuse(path, why string) error {
	const most = 120
	if len(path) > most {
		path = path[:most] + "…"
	}
	return api.Errorf(api.CodeInvalid, "cannot put %q into an image: because %s", path, why).
		WithFix("make the root filesystem again without it")
}

// join is the reverse of SplitPath: a path from the root with a leading slash.
func join(parts []string) string { return "/" + strings.Join(parts, "/") }
