package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

// Options bound a Log; the zero value means the defaults.
type Options struct {
	FileBytes int64 // of one file, then comes the next; default 32 MiB
	Files     int   // that are kept; default 16
	Log       *slog.Logger
}

// Log is the log in one directory: files named by the id of their first entry. One
// process has it at a time. It must be closed.
type Log struct {
	dir  string
	opts Options

	mu   sync.Mutex
	file *os.File
	size int64
	next int64
	torn bool  // the last line is not whole
	lost int64 // entries that could not be written
}

// Open continues the log in dir, which is made if need be. A last line that is not
// whole, because the machine died, is ended so that the next one is readable.
func Open(dir string, o Options) (*Log, error) {
	if o.FileBytes == 0 {
		o.FileBytes = 32 << 20
	}
	if o.Files == 0 {
		o.Files = 16
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, badLog(err)
	}
	l := &Log{dir: dir, opts: o, next: 1}
	names, err := l.files()
	if err != nil {
		return nil, badLog(err)
	}
	if len(names) == 0 {
		return l, l.begin()
	}
	return l, l.resume(names[len(names)-1])
}

func badLog(err error) error {
	return api.Errorf(api.CodeUnavailable, "cannot keep the audit log: because %w", err).
		WithFix("set BRIG_DATA to a directory that you can write to")
}

// files lists the log's files, the oldest first. Names are numbers of one width.
func (l *Log) files() ([]string, error) {
	names, err := filepath.Glob(filepath.Join(l.dir, "audit-*.jsonl"))
	slices.Sort(names)
	return names, err
}

// resume appends to a file that is there.
func (l *Log) resume(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return badLog(err)
	}
	if _, err := fmt.Sscanf(filepath.Base(name), "audit-%d.jsonl", &l.next); err != nil {
		return badLog(err)
	}
	for line := range bytes.Lines(b) {
		var e Entry
		if json.Unmarshal(line, &e) == nil && e.ID >= l.next {
			l.next = e.ID + 1
		}
	}
	if l.file, err = os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return badLog(err)
	}
	l.size = int64(len(b))
	l.torn = len(b) > 0 && b[len(b)-1] != '\n'
	return nil
}

// begin starts the next file and removes those that are too many. The caller holds
// mu, or is Open.
func (l *Log) begin() error {
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return badLog(err)
		}
	}
	var err error
	name := filepath.Join(l.dir, fmt.Sprintf("audit-%016d.jsonl", l.next))
	if l.file, err = os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return badLog(err)
	}
	l.size, l.torn = 0, false
	names, err := l.files()
	if err != nil {
		return badLog(err)
	}
	for len(names) > l.opts.Files {
		if err := os.Remove(names[0]); err != nil {
			return badLog(err)
		}
		names = names[1:]
	}
	return nil
}

// write appends a line; after one that is not whole it ends that first.
func (l *Log) write(b []byte) error {
	if l.torn {
		b = append([]byte("\n"), b...)
	}
	n, err := l.file.Write(b)
	l.size += int64(n)
	l.torn = n > 0 && b[n-1] != '\n' || n == 0 && l.torn
	if err != nil {
		return badLog(err)
	}
	return nil
}

// Add appends an entry, with its id and, unless it has one, its time. What cannot be
// written, because the disk is full, is counted, and said in the server's log.
func (l *Log) Add(e Entry) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	e.ID = l.next
	b, err := json.Marshal(e)
	if err == nil && l.size > 0 && l.size+int64(len(b)) >= l.opts.FileBytes {
		err = l.begin()
	}
	if err == nil {
		l.next++
		err = l.write(append(b, '\n'))
	}
	if err != nil {
		if l.lost++; l.lost&(l.lost-1) == 0 { // 1, 2, 4, …: not a line for each
			l.opts.Log.Error("the audit log has lost entries", "lost", l.lost, "error", err)
		}
	}
}

// Lost is how many entries could not be written.
func (l *Log) Lost() int64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Close ends the log.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
