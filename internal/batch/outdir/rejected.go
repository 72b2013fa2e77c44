package outdir

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
)

// EachRejected gives each whole line of rejected.jsonl, as long as more is true.
func (d Dir) EachRejected(give func(line []byte) (more bool)) error {
	return d.eachWhole(d.Rejected(), give)
}

// EachResult gives each whole line of results.jsonl, as long as more is true.
func (d Dir) EachResult(give func(line []byte) (more bool)) error {
	return d.eachWhole(d.Results(), give)
}

// eachWhole passes over a line that a crash cut; a file that is not there has none.
func (d Dir) eachWhole(name string, give func(line []byte) (more bool)) error {
	err := eachLine(name, func(line []byte, whole bool) bool { return !whole || give(line) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return d.readError(err)
}

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
