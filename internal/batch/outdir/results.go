package outdir

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"
)

// Lines gives the result lines of the journal, without their line ends.
type Lines func() iter.Seq2[[]byte, error]

// Results is results.jsonl, open to append. Close it.
type Results struct {
	mu   sync.Mutex
	dir  Dir
	file *os.File
}

// OpenResults opens results.jsonl to append. It is rebuilt from the journal when
// it does not have exactly the lines that journal has and want sums up: one may
// be torn or missing after a crash, or be of an earlier attempt.
func (d Dir) OpenResults(want Digest, journal Lines) (*Results, error) {
	have, err := d.digestOfResults()
	if err != nil {
		return nil, err
	}
	if want != have {
		if err := d.rebuild(journal()); err != nil {
			return nil, err
		}
	}
	r := &Results{dir: d}
	return r, r.open()
}

// Rebuild writes results.jsonl anew from the journal.
func (r *Results) Rebuild(journal Lines) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.close(), r.dir.rebuild(journal()), r.open())
}

func (r *Results) open() (err error) {
	r.file, err = os.OpenFile(r.dir.Results(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	return r.dir.writeError(err)
}

// Append writes one line. It need not be durable: the journal is.
func (r *Results) Append(line []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.file.Write(append(bytes.Clone(line), '\n'))
	return r.dir.writeError(err)
}

// Close flushes and closes the file.
func (r *Results) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.close()
}

func (r *Results) close() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return r.dir.writeError(errors.Join(f.Sync(), f.Close()))
}

// rebuild writes the file anew and puts it in the old one's place.
func (d Dir) rebuild(lines iter.Seq2[[]byte, error]) error {
	f, err := os.CreateTemp(filepath.Join(string(d), ".brig"), "results-*")
	if err != nil {
		return d.writeError(err)
	}
	defer os.Remove(f.Name()) // fails when it has its name
	w := bufio.NewWriterSize(f, 256<<10)
	for line, err := range lines {
		if err != nil {
			return errors.Join(err, f.Close())
		}
		_, _ = w.Write(line) // the writer keeps its error until Flush
		_ = w.WriteByte('\n')
	}
	err = errors.Join(w.Flush(), f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.Results())
	}
	return d.writeError(err)
}

// Digest tells two sets of lines apart, whatever their order: how many there
// are, and the sum of their hashes.
type Digest struct {
	n      int
	lo, hi uint64
	torn   bool
}

// Add counts a line, without its end.
func (g *Digest) Add(line []byte) {
	h := sha256.Sum256(line)
	g.n++
	g.lo += binary.LittleEndian.Uint64(h[0:])
	g.hi += binary.LittleEndian.Uint64(h[8:])
}

func (d Dir) digestOfResults() (g Digest, err error) {
	err = eachLine(d.Results(), func(line []byte, whole bool) bool {
		g.Add(line)
		g.torn = !whole
		return true
	})
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return g, d.readError(err)
	}
	return g, nil
}

// eachLine reads a file of lines that we wrote ourselves, until f says false.
// whole is false for a last line without its end.
func eachLine(name string, f func(line []byte, whole bool) bool) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 256<<10)
	var long []byte
	for {
		b, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, b...)
			continue
		}
		if err != nil && err != io.EOF {
			return err
		}
		if len(long) > 0 {
			long = append(long, b...)
			b = long
		}
		line, whole := bytes.CutSuffix(b, []byte("\n"))
		if len(b) > 0 && !f(line, whole) || err == io.EOF {
			return nil
		}
		long = long[:0]
	}
}
