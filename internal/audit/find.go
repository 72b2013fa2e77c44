package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// maxLine bounds one entry that is read back.
const maxLine = 64 << 10

// Filter chooses entries; what is empty chooses all.
type Filter struct {
	Owner  string
	Target string
	Action string // the beginning of one
	Since  time.Time
	Before int64 // only ids below it: the next page
	Limit  int   // the most; default and most 1000
}

const maxFound = 1000

func (f Filter) matches(e Entry) bool {
	return (f.Owner == "" || f.Owner == e.Owner) && (f.Target == "" || f.Target == e.Target) &&
		strings.HasPrefix(e.Action, f.Action) && !e.Time.Before(f.Since) && (f.Before == 0 || e.ID < f.Before)
}

// Find gives the newest entries that match, the newest first.
func (l *Log) Find(f Filter) ([]Entry, error) {
	found := []Entry{}
	if l == nil {
		return found, nil
	}
	if f.Limit <= 0 || f.Limit > maxFound {
		f.Limit = maxFound
	}
	names, err := l.files()
	if err != nil {
		return nil, badLog(err)
	}
	for _, name := range slices.Backward(names) {
		newest, err := findIn(name, f, f.Limit-len(found))
		if errors.Is(err, fs.ErrNotExist) {
			break // it was the oldest, and is gone by now
		}
		if err != nil {
			return nil, badLog(err)
		}
		if found = append(found, newest...); len(found) >= f.Limit {
			break
		}
	}
	return found, nil
}

// findIn gives the newest limit entries of one file that match, the newest first.
func findIn(name string, f Filter, limit int) ([]Entry, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []Entry
	lines := bufio.NewReaderSize(file, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		var e Entry
		if json.Unmarshal(line, &e) == nil && e.ID > 0 && f.matches(e) {
			if found = append(found, e); len(found) >= 2*limit {
				found = append([]Entry(nil), found[len(found)-limit:]...)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) { // a line that is too long is none of ours
			return nil, err
		}
	}
	slices.Reverse(found)
	return found[:min(len(found), limit)], nil
}
