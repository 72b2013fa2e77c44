package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func ids(t *testing.T, l *Log, f Filter) []int64 {
	t.Helper()
	list, err := l.Find(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for _, e := range list {
		out = append(out, e.ID)
	}
	return out
}

func want(t *testing.T, what string, got []int64, want ...int64) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: ids %v, want %v", what, got, want)
	}
}

func TestFind(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, e := range []Entry{
		{Owner: "ann", Action: "POST /v1/sandboxes", Target: "a"}, {Owner: "bob", Action: "POST /v1/sandboxes", Target: "b"},
		{Owner: "ann", Action: "egress", Target: "a"}, {Owner: "ann", Action: "DELETE /v1/sandboxes/{id}", Target: "a"},
	} {
		e.Time = at.Add(time.Duration(i) * time.Hour)
		l.Add(e)
	}
	want(t, "all", ids(t, l, Filter{}), 4, 3, 2, 1)
	want(t, "ann's", ids(t, l, Filter{Owner: "ann"}), 4, 3, 1)
	want(t, "limit", ids(t, l, Filter{Owner: "ann", Limit: 2}), 4, 3)
	want(t, "next page", ids(t, l, Filter{Owner: "ann", Limit: 2, Before: 3}), 1)
	want(t, "action", ids(t, l, Filter{Action: "POST"}), 2, 1)
	want(t, "target", ids(t, l, Filter{Target: "b"}), 2)
	want(t, "since", ids(t, l, Filter{Since: at.Add(2 * time.Hour)}), 4, 3)
	want(t, "nothing", ids(t, l, Filter{Owner: "eve"}))
}

// TestRestart: a log goes on where the last server left it, also in the middle of a
// line.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	l.Add(Entry{Action: "one"})
	l.Add(Entry{Action: "two"})
	l.Close()
	name := filepath.Join(dir, "audit-0000000000000001.jsonl")
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"id":3,"action":"thr`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	l = open(t, dir, Options{})
	l.Add(Entry{Action: "three"})
	want(t, "after a restart", ids(t, l, Filter{}), 3, 2, 1)
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if l.Lost() != 0 {
		t.Errorf("%d lost", l.Lost())
	}
}

// TestRotation: old files go, ids go on, and a search crosses files.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{FileBytes: 1000, Files: 3})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 50 {
				l.Add(Entry{Owner: "ann", Action: strings.Repeat("x", 100)})
			}
		})
	}
	work.Wait()
	files, err := l.files()
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > 1000 {
			t.Errorf("%s: %d bytes, %v", f, st.Size(), err)
		}
	}
	list := ids(t, l, Filter{})
	if len(list) < 10 || list[0] != 200 {
		t.Fatalf("%v", list)
	}
	for i := range list {
		if list[i] != 200-int64(i) {
			t.Fatalf("a gap in %v", list)
		}
	}
	l.Close()
	l = open(t, dir, Options{FileBytes: 1000, Files: 3})
	l.Add(Entry{Action: "next"})
	want(t, "after a restart", ids(t, l, Filter{Limit: 1}), 201)
}

// TestFullDisk: what cannot be written is counted, and nothing fails.
func TestFullDisk(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	l.file.Close()
	l.Add(Entry{Action: "lost"})
	if l.Lost() != 1 {
		t.Errorf("%d lost", l.Lost())
	}
}

func TestNote(t *testing.T) {
	var n Note
	ctx := With(context.Background(), &n)
	if !n.Empty() {
		t.Error("a new note is not empty")
	}
	From(ctx).Program("ann", "sb-1", []string{"sh", "-c", "echo s3cret"})
	From(ctx).Program("ann", "sb-2", []string{"later"})
	From(ctx).Outcome("ok")
	e := Entry{Outcome: "failed"}
	n.Fill(&e)
	if e.Owner != "ann" || e.Target != "sb-1" || e.Outcome != "ok" || len(e.ArgvSHA256) != 64 || n.Empty() {
		t.Errorf("%+v", e)
	}
	var other Note
	other.Program("ann", "sb-1", []string{"sh", "-c", "echo", "s3cret"})
	var o Entry
	other.Fill(&o)
	if o.ArgvSHA256 == e.ArgvSHA256 {
		t.Error("two programs have one hash")
	}
	From(context.Background()).Code("ann", "sb", "1") // nobody listens
}
