package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/brigdev/brig/api"
)

// journal is a file of finished items, a line of JSON each, as the SDKs for Python and
// JavaScript have it. A line that a crash cut is as good as none. A nil journal keeps
// nothing.
type journal struct {
	f *os.File

	mu   sync.Mutex
	done map[string]json.RawMessage
}

// journalLine is one finished item.
type journalLine struct {
	Key   string          `json:"key"`
	OK    bool            `json:"ok"` // false: an item that failed, and is worked on again
	Value json.RawMessage `json:"value"`
}

// openJournal reads what there is and goes on behind it. Without a name there is no
// journal.
func openJournal(name string) (*journal, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, cannotNote(err)
	}
	j := &journal{f: f, done: map[string]json.RawMessage{}}
	if err := j.load(); err != nil {
		f.Close()
		return nil, cannotNote(err)
	}
	return j, nil
}

func cannotNote(err error) error {
	return api.Errorf(api.CodeUnavailable, "cannot use the journal: because %w", err).WithFix("choose another file, or none")
}

func (j *journal) load() error {
	in := bufio.NewReader(j.f)
	for {
		line, err := in.ReadBytes('\n')
		var l journalLine
		if json.Unmarshal(line, &l) == nil && l.OK && len(l.Value) > 0 {
			j.done[l.Key] = l.Value
		}
		switch {
		case errors.Is(err, io.EOF) && len(line) > 0: // the end of the last line is missing
			_, err = j.f.Write([]byte("\n"))
			return err
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (j *journal) close() {
	if j != nil {
		j.f.Close()
	}
}

// recall gives an item's result, if the journal has one of that type.
func recall[O any](j *journal, key string) (value O, ok bool) {
	if j == nil {
		return value, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	raw, ok := j.done[key]
	return value, ok && json.Unmarshal(raw, &value) == nil
}

// note writes down an item's result.
func note(j *journal, key string, value any) error {
	if j == nil {
		return nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return cannotNote(err)
	}
	line, err := json.Marshal(journalLine{key, true, raw})
	if err != nil {
		return cannotNote(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done[key] = raw
	if _, err := j.f.Write(append(bytes.TrimSpace(line), '\n')); err != nil {
		return cannotNote(err)
	}
	return nil
}
