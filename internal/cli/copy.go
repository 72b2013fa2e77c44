package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// What one `brig run` may copy in one direction. A hostile program can offer
// endless trees, so every number is bounded.
const (
	maxCopyFiles = 10_000
	maxCopyBytes = 1 << 30
	maxCopyDepth = 32
	maxSkipNotes = 10
)

// copyPair is one checked --copy-in or --copy-out.
type copyPair struct {
	inside string // absolute
	host   string
}

// parsePair splits SRC:DST at the last colon that leaves both sides whole.
func parsePair(flag, s string) (src, dst string, err error) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || i == len(s)-1 {
		return "", "", api.Errorf(api.CodeInvalid, "cannot read --%s %q: because it is not SRC:DST", flag, s).
			WithFix("write it like --%s data.csv:data.csv", flag)
	}
	return s[:i], s[i+1:], nil
}

// copier moves files between the host and one sandbox within the bounds above.
type copier struct {
	box   host.Sandbox
	log   io.Writer // told of what was left out
	files int
	bytes int64
	// skipped counts what was left out.
	skipped int
}

// count adds one file to the bounds.
func (c *copier) count(size int64) error {
	c.files++
	c.bytes += size
	if c.files > maxCopyFiles || c.bytes > maxCopyBytes {
		return api.Errorf(api.CodeInvalid, "cannot copy: because it is more than %d files or %s", maxCopyFiles, api.FormatBytes(maxCopyBytes)).
			WithFix("copy less, or pack it into one archive")
	}
	return nil
}

// skip names what is left out, the first few times.
func (c *copier) skip(name, why string) {
	switch c.skipped++; {
	case c.skipped <= maxSkipNotes:
		fmt.Fprintf(c.log, "brig: left out %q: %s\n", name, why)
	case c.skipped == maxSkipNotes+1:
		fmt.Fprintln(c.log, "brig: left out more, which is not named")
	}
}
