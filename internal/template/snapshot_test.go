package template

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
)

// counted is the fake driver with a key of the test's choice; it counts boxes.
type counted struct {
	*fake.Driver
	key   string
	boxes atomic.Int32
}

func newCounted(t testing.TB) *counted {
	d := &counted{Driver: fake.New(fake.Options{}), key: "build-1"}
	t.Cleanup(func() {
		left, err := d.Leftovers(context.Background())
		if err != nil || len(left) > 0 {
			t.Errorf("boxes left behind: %v, %v", left, err)
		}
		must(t, d.Close())
	})
	return d
}

func (d *counted) SnapshotKey() string { return d.key }

func (d *counted) Create(ctx context.Context, spec driver.BoxSpec) (driver.Box, error) {
	d.boxes.Add(1)
	return d.Driver.Create(ctx, spec)
}

func snapshot(t testing.TB, c *Catalog, tm Template, d driver.Driver) string {
	t.Helper()
	dir, err := c.Snapshot(t.Context(), tm, d, OneShot, api.DefaultLimits())
	must(t, err)
	if !exists(filepath.Join(dir, "manifest.json")) {
		t.Fatalf("%q is no snapshot", dir)
	}
	return dir
}

func TestSnapshotIsBakedOnce(t *testing.T) {
	data := t.TempDir()
	c, d := open(t, data), newCounted(t)
	tm := buildTar(t, c, "mine")
	dir := snapshot(t, c, tm, d)
	if again := snapshot(t, open(t, data), tm, d); again != dir || d.boxes.Load() != 1 {
		t.Errorf("%d boxes, %s and %s", d.boxes.Load(), dir, again)
	}
	box, err := d.Driver.Create(t.Context(), driver.BoxSpec{ID: "clone", Root: tm.Root, Snapshot: dir, Limits: api.DefaultLimits(), Agent: tm.Agent})
	must(t, err)
	must(t, box.Destroy(t.Context()))
	list, err := c.List(t.Context())
	must(t, err)
	if list[1].Snapshots != 1 {
		t.Errorf("list: %+v", list[1])
	}
}

func TestSnapshotDependsOn(t *testing.T) {
	c, d := open(t, t.TempDir()), newCounted(t)
	one, two := buildTar(t, c, "one"), buildTar(t, c, "two", "another")
	seen := map[string]string{}
	try := func(what string, tm Template, kind string, change func(l *api.Limits)) {
		l := api.DefaultLimits()
		change(&l)
		dir, err := c.Snapshot(t.Context(), tm, d, kind, l)
		must(t, err)
		if old, ok := seen[dir]; ok {
			t.Errorf("%s has the snapshot of %s", what, old)
		}
		seen[dir] = what
	}
	same := func(*api.Limits) {}
	try("one", one, OneShot, same)
	try("two", two, OneShot, same)
	try("session", one, Session, same)
	try("cpus", one, OneShot, func(l *api.Limits) { l.CPUs = 1.5 })
	try("disk", one, OneShot, func(l *api.Limits) { l.DiskBytes = 1 << 20 })
	d.key = "build-2"
	try("driver build", one, OneShot, same)
	before := d.boxes.Load()
	l := api.DefaultLimits()
	l.MemoryBytes, l.PIDs, l.CPUs, l.Timeout = 64<<20, 7, 0.5, time.Second
	_, err := c.Snapshot(t.Context(), one, d, OneShot, l)
	must(t, err)
	if d.boxes.Load() != before {
		t.Error("limits that a clone has of its own made another snapshot")
	}
}

func TestNothingToSnapshot(t *testing.T) {
	c, d := open(t, t.TempDir()), newCounted(t)
	host, err := c.Resolve(t.Context(), HostName)
	must(t, err)
	for name, try := range map[string]struct {
		tm Template
		d  driver.Driver
	}{
		"cold template": {host, d},
		"no restore":    {buildTar(t, c, "mine"), struct{ driver.Driver }{d}},
	} {
		dir, err := c.Snapshot(t.Context(), try.tm, try.d, OneShot, api.DefaultLimits())
		if dir != "" || err != nil {
			t.Errorf("%s: %q, %v", name, dir, err)
		}
	}
}

func TestBadSnapshotsAreBakedAgain(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"truncated": func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "box.json"), 1)) },
		"changed": func(t *testing.T, dir string) {
			path := filepath.Join(dir, "box.json")
			data, err := os.ReadFile(path)
			must(t, err)
			data[0] ^= 1
			must(t, os.WriteFile(path, data, 0o600))
		},
		"file missing":  func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "box.json"))) },
		"half written":  func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "manifest.json"))) },
		"torn manifest": func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "manifest.json"), 30)) },
		"of another": func(t *testing.T, dir string) {
			path := filepath.Join(dir, "manifest.json")
			var m Manifest
			must(t, readJSON(path, &m))
			m.Key.DriverKey = "another build"
			data, err := json.Marshal(m)
			must(t, err)
			must(t, os.WriteFile(path, data, 0o600))
		},
		"no files": func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"version":1}`), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			d := newCounted(t)
			c := open(t, data)
			tm := buildTar(t, c, "mine")
			damage(t, snapshot(t, c, tm, d))
			dir := snapshot(t, open(t, data), tm, d)
			if d.boxes.Load() != 2 {
				t.Errorf("%d boxes were made, want 2", d.boxes.Load())
			}
			must(t, open(t, data).useSnapshot(t.Context(), dir, mustKey(t, dir)))
		})
	}
}

func mustKey(t testing.TB, dir string) SnapshotKey {
	t.Helper()
	var m Manifest
	must(t, readJSON(filepath.Join(dir, "manifest.json"), &m))
	return m.Key
}

// Several processes want the same: catalogues of their own stand for them,
// because locks are between open files.
func TestConcurrentProcessesBakeAndBuildOnce(t *testing.T) {
	data, d := t.TempDir(), newCounted(t)
	from := rootTar(t)
	var wg sync.WaitGroup
	dirs := make([]string, 6)
	for i := range dirs {
		c := open(t, data)
		wg.Go(func() {
			tm, err := c.Build(t.Context(), "mine", BuildOptions{From: from, Warm: []string{"json"}}, nil)
			if err == nil {
				dirs[i], err = c.Snapshot(t.Context(), tm, d, OneShot, api.DefaultLimits())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, dir := range dirs {
		if dir != dirs[0] || dir == "" {
			t.Errorf("snapshots: %q", dirs)
		}
	}
	if d.boxes.Load() != 1 {
		t.Errorf("%d boxes for one snapshot", d.boxes.Load())
	}
}

func TestBakeIsJournalled(t *testing.T) {
	var events []string
	d := newCounted(t)
	c := open(t, t.TempDir(), func(o *Options) {
		o.Journal = func(h driver.Handle) (func(), error) {
			if h.Driver != "fake" || !strings.HasPrefix(h.ID, "bake-") || d.boxes.Load() != 0 {
				t.Errorf("journalled %+v with %d boxes made", h, d.boxes.Load())
			}
			events = append(events, "begin")
			return func() {
				left, err := d.Leftovers(t.Context())
				if err != nil || len(left) > 0 {
					t.Errorf("taken out of the journal while it exists: %v, %v", left, err)
				}
				events = append(events, "end")
			}, nil
		}
	})
	snapshot(t, c, buildTar(t, c, "mine"), d)
	if strings.Join(events, " ") != "begin end" {
		t.Errorf("events: %v", events)
	}
}

func TestBakeThatFailsLeavesNothing(t *testing.T) {
	for name, fault := range map[string]fake.Fault{
		"no box":     {Create: api.Errorf(api.CodeUnavailable, "cannot make a box: because of the test")},
		"lies":       {Lie: fake.LieGarbage},
		"ends early": {DieAfter: time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			d := fake.New(fake.Options{Fault: func(int, driver.BoxSpec) fake.Fault { return fault }})
			defer d.Close()
			c := open(t, t.TempDir())
			dir, err := c.Snapshot(t.Context(), buildTar(t, c, "mine"), d, OneShot, api.DefaultLimits())
			if err == nil {
				t.Fatalf("a snapshot: %s", dir)
			}
			left, err := d.Leftovers(t.Context())
			must(t, err)
			if len(left)+len(entries(t, c, "snapshots")) > 0 || len(scratchOf(t, c)) > 0 {
				t.Errorf("left: boxes %v, snapshots %v, scratch %v", left, entries(t, c, "snapshots"), scratchOf(t, c))
			}
		})
	}
}

func scratchOf(t testing.TB, c *Catalog) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(c.scratch, "*"))
	must(t, err)
	return list
}

// An interpreter that ends instead of waiting fails the bake with its words.
func TestBakeOfAMissingModule(t *testing.T) {
	c, d := open(t, t.TempDir()), newCounted(t)
	tm := buildTar(t, c, "mine")
	rec, err := c.record(tm.Digest)
	must(t, err)
	// The fake driver runs the argument after -c in its own small language.
	python := rec.Languages["python"]
	python.Argv = []string{"sh", "-c", "stderr ModuleNotFoundError: no numpy\nexit 1"}
	rec.Languages["python"] = python
	must(t, c.writeJSON(c.recordPath(tm.Digest), rec))
	_, err = c.Snapshot(t.Context(), tm, d, OneShot, api.DefaultLimits())
	wantCode(t, err, api.CodeInvalid, "--warm")
	if err == nil || !strings.Contains(err.Error(), "no numpy") {
		t.Errorf("error %v", err)
	}
}

func TestSweepTakesWhatNobodyUsedForADay(t *testing.T) {
	data := t.TempDir()
	d := newCounted(t)
	c, err := Open(t.Context(), data, open(t, t.TempDir()).opts)
	must(t, err)
	tm := buildTar(t, c, "mine")
	stale := snapshot(t, c, tm, d)
	d.key = "build-2"
	fresh := snapshot(t, c, tm, d)
	must(t, c.Close())
	yesterday := time.Now().Add(-keepUnused - time.Hour)
	must(t, os.Chtimes(filepath.Join(stale, usedName), yesterday, yesterday))
	c = open(t, data)
	c.sweep(t.Context())
	if exists(stale) || !exists(fresh) {
		t.Errorf("stale exists: %v, fresh exists: %v", exists(stale), exists(fresh))
	}
	must(t, c.Remove(t.Context(), "mine"))
	if got := entries(t, c, "snapshots"); len(got) != 0 {
		t.Errorf("snapshots of a removed template: %v", got)
	}
}
