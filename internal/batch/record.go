package batch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/store"
)

// key identifies an item: the first 16 bytes of the SHA-256 of its custom_id.
type key [16]byte

func keyOf(customID string) (k key) {
	h := sha256.Sum256([]byte(customID))
	copy(k[:], h[:])
	return k
}

func (k key) String() string { return hex.EncodeToString(k[:]) }

func parseKey(s string) (k key, ok bool) {
	n, err := hex.Decode(k[:], []byte(s))
	return k, err == nil && n == len(k) && len(s) == 2*len(k)
}

// record is an item's state in the journal.
type record struct {
	ID string `json:"id"`
	// Done says that Line is the item's result. Otherwise Line may be the result
	// that a retry is to replace, and stands until then.
	Done bool `json:"done,omitempty"`
	// Lost counts the dispatches since the last outcome: each was written before
	// the item was run, so one that is found by a later run ended with its brig.
	Lost     int           `json:"lost,omitempty"`
	Attempts []api.Attempt `json:"attempts,omitempty"` // whose outcome is known
	Code     string        `json:"code,omitempty"`     // a repairer's, for the next attempt
	Line     []byte        `json:"-"`                  // of results.jsonl, without the line end
}

// encode puts the result's line behind the rest, as it is: it may be large, and
// is not looked at again.
func (r record) encode() ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(head)+1+len(r.Line))
	b = append(append(b, head...), '\n')
	return append(b, r.Line...), nil
}

func decodeRecord(b []byte) (record, error) {
	head, line, ok := bytes.Cut(b, []byte("\n"))
	var r record
	if err := json.Unmarshal(head, &r); err != nil || !ok {
		return r, api.Errorf(api.CodeInternal, "cannot read the journal: because a record is spoilt").
			WithFix("run the batch again with another directory (-o)")
	}
	if len(line) > 0 {
		r.Line = line
	}
	return r, nil
}

// maxLine is the longest result line: with the head of its record it fits into
// a value of the store.
const maxLine = store.MaxValueBytes - 1<<20
