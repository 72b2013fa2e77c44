package outdir

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
)

// Rejects writes rejected.jsonl anew: it is a projection of the input, which
// every run reads from its beginning.
type Rejects struct {
	dir  Dir
	file *os.File
	w    *bufio.Writer
}

// OpenRejects empties rejected.jsonl and opens it.
func (d Dir) OpenRejects() (*Rejects, error) {
	f, err := os.Create(d.Rejected())
	if err != nil {
		return nil, d.writeError(err)
	}
	return &Rejects{d, f, bufio.NewWriter(f)}, nil
}

// Add writes one line.
func (r *Rejects) Add(rejected any) error {
	b, err := json.Marshal(rejected)
	if err == nil {
		_, err = r.w.Write(append(b, '\n'))
	}
	return r.dir.writeError(err)
}

// Close flushes and closes the file.
func (r *Rejects) Close() error {
	return r.dir.writeError(errors.Join(r.w.Flush(), r.file.Close()))
}
