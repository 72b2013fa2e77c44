// Package input reads the items of a batch, one at a time and never a whole
// file: JSONL items, the output files of OpenAI and Anthropic message batches,
// HumanEval and MBPP records, and directories of programs.
//
// A record that is no good is an answer too, *Rejected, which says where it is
// and why; reading goes on behind it.
package input

import (
	"fmt"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
)

// Caps on what one item may be. They bound memory and are far above real use.
const (
	DefaultMaxLine = 64 << 20 // bytes of one line, or of one file in a directory
	MaxIDBytes     = 512
	maxTrustBytes  = 256
	maxFiles       = 1000
	maxNameBytes   = 1024
	maxTimeout     = 24 * 60 * 60 // seconds
)

// Format is the kind of an input.
type Format string

// The formats. Auto looks at the first record, or whether it is a directory.
const (
	Auto      Format = "auto"
	Items     Format = "items"     // JSONL of api.Item
	OpenAI    Format = "openai"    // output file of an OpenAI batch
	Anthropic Format = "anthropic" // results file of an Anthropic message batch
	Eval      Format = "eval"      // HumanEval or MBPP records
	Dir       Format = "dir"       // a directory of programs
)

// Formats lists the formats.
func Formats() []Format { return []Format{Auto, Items, OpenAI, Anthropic, Eval, Dir} }

// ParseFormat reads a format's name; "" is Auto.
func ParseFormat(s string) (Format, error) {
	if s == "" {
		return Auto, nil
	}
	if slices.Contains(Formats(), Format(s)) {
		return Format(s), nil
	}
	names := make([]string, 0, len(Formats()))
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	return "", api.Errorf(api.CodeInvalid, "cannot read format %q: because there is no such format", s).
		WithFix("use one of %s", strings.Join(names, ", "))
}

// Options are the choices of Open. The zero value is ready to use.
type Options struct {
	Format  Format // "" is Auto
	MaxLine int    // 0 is DefaultMaxLine
	// Language is what items run as that don't say; "" is python.
	Language string
	// Languages are those that the template can run; nil accepts all we know.
	Languages []string
}

func (o Options) withDefaults() Options {
	if o.Format == "" {
		o.Format = Auto
	}
	if o.MaxLine <= 0 {
		o.MaxLine = DefaultMaxLine
	}
	if o.Language == "" {
		o.Language = "python"
	}
	return o
}

// Item is an item and where it was found.
type Item struct {
	api.Item
	Line int64 // from 1; in a directory the number of the file
}

// Reader reads items.
type Reader interface {
	// Next gives the next item; io.EOF at the end; *Rejected for a record that
	// is no item, after which the next one can be read. Any other error is of
	// the input itself and final.
	Next() (Item, error)
	// Format says what is read, after Auto was decided.
	Format() Format
	Close() error
}

// Rejected is a record that is no item.
type Rejected struct {
	Line     int64  `json:"line"`
	CustomID string `json:"custom_id,omitempty"` // when it could be read
	Reason   string `json:"reason"`
}

func (r *Rejected) Error() string {
	if r.CustomID == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d (%.80q): %s", r.Line, r.CustomID, r.Reason)
}
