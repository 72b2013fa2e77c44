package snapshot

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brigdev/brig/api"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code api.Code, words ...string) {
	t.Helper()
	if err == nil || api.CodeOf(err) != code {
		t.Errorf("error %v, want the code %s", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// clock is a time that a test moves.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func openIn(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func open(t testing.TB) *Store { return openIn(t, t.TempDir(), Options{}) }

func meta() api.Snapshot {
	return api.Snapshot{
		Name: "mine", Owner: "me", Sandbox: "sbx-1", Template: "python", Digest: "sha256:aa", Driver: "fake", Key: "build-1",
		Limits: api.DefaultLimits(), Env: map[string]string{"A": "b"}, Metadata: map[string]string{"k": "v"},
		Kernels: []api.KernelRef{{ID: "k1", Language: "python", Cwd: "/work", PID: 7}},
	}
}

func need() Need { return Need{Driver: "fake", Key: "build-1", Digest: "sha256:aa"} }

// filler is what Create and Temporary want.
type filler = func(dir string) (api.Snapshot, error)

// writes fills with files of these contents.
func writes(m api.Snapshot, files map[string]string) filler {
	return func(dir string) (api.Snapshot, error) {
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
				return api.Snapshot{}, err
			}
		}
		m.PausedMS = 7
		return m, nil
	}
}

var twoFiles = map[string]string{"pages.img": "the memory", "checkpoint.img": "the rest"}

func create(t testing.TB, s *Store, change ...func(*api.Snapshot)) api.Snapshot {
	t.Helper()
	m := meta()
	for _, f := range change {
		f(&m)
	}
	m, err := s.Create(t.Context(), writes(m, twoFiles))
	must(t, err)
	return m
}

func TestCreateGetUse(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := openIn(t, dir, Options{Now: c.Now})
	m := create(t, s, func(m *api.Snapshot) { m.ExpiresAt = c.Now().Add(time.Hour) })
	if !isID(m.ID) || m.Format != 1 || !m.CreatedAt.Equal(c.Now()) || m.PausedMS != 7 || m.SizeBytes != 18 || len(m.Files) != 2 {
		t.Errorf("created: %+v", m)
	}
	// Another process sees the same.
	other := openIn(t, dir, Options{Now: c.Now})
	got, err := other.Get(t.Context(), m.ID)
	must(t, err)
	if d := cmp.Diff(m, got); d != "" {
		t.Errorf("read back (-created +read):\n%s", d)
	}
	files, release, err := other.Use(t.Context(), m.ID, need())
	must(t, err)
	defer release()
	for name, want := range twoFiles {
		if data, err := os.ReadFile(filepath.Join(files, name)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if bytes, count := other.Usage(); bytes != 18 || count != 1 {
		t.Errorf("usage: %d bytes, %d snapshots", bytes, count)
	}
}

func TestModes(t *testing.T) {
	s := open(t)
	m := create(t, s)
	must(t, s.Pin(t.Context(), m.ID, "sbx-1"))
	must(t, filepath.WalkDir(s.path(m.ID), func(path string, d os.DirEntry, err error) error {
		must(t, err)
		st, err := d.Info()
		must(t, err)
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if st.Mode().Perm() != want {
			t.Errorf("%s has the mode %v", path, st.Mode())
		}
		return nil
	}))
}

func TestList(t *testing.T) {
	c := newClock()
	s := openIn(t, t.TempDir(), Options{Now: c.Now})
	set := func(sandbox, owner, template string) string {
		c.advance(time.Second)
		return create(t, s, func(m *api.Snapshot) { m.Sandbox, m.Owner, m.Template = sandbox, owner, template }).ID
	}
	a := set("s1", "o1", "t1")
	b := set("s2", "o1", "t2")
	d := set("s1", "o2", "t2")
	for _, try := range []struct {
		f    Filter
		want []string
	}{
		{Filter{}, []string{d, b, a}},
		{Filter{Sandbox: "s1"}, []string{d, a}},
		{Filter{Owner: "o1"}, []string{b, a}},
		{Filter{Template: "t2"}, []string{d, b}},
		{Filter{Sandbox: "s1", Owner: "o1", Template: "t1"}, []string{a}},
		{Filter{Sandbox: "s3"}, nil},
	} {
		list, err := s.List(t.Context(), try.f)
		must(t, err)
		var got []string
		for _, m := range list {
			got = append(got, m.ID)
		}
		if diff := cmp.Diff(try.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", try.f, diff)
		}
	}
}

// An id from outside is looked at before it is part of a path.
func TestBadIDs(t *testing.T) {
	s := open(t)
	id := create(t, s).ID
	for _, bad := range []string{
		"", "snap-", "snap-../../../etc", "../" + id, id + "/", id + "/../" + id, strings.ToUpper(id), id + "a", "tmp", "lock",
		"snap-aaaaaaaaaaaa\x00", "snap-aaaaaaaaaaaa\n", "snap-aaaaaaaaaaaa1",
	} {
		_, err := s.Get(t.Context(), bad)
		wantCode(t, err, api.CodeInvalid)
		_, _, err = s.Use(t.Context(), bad, need())
		wantCode(t, err, api.CodeInvalid)
		wantCode(t, s.Remove(t.Context(), bad), api.CodeInvalid)
		wantCode(t, s.Pin(t.Context(), bad, "sbx"), api.CodeInvalid)
		wantCode(t, s.Unpin(t.Context(), bad, "sbx"), api.CodeInvalid)
		_, err = s.Pins(bad)
		wantCode(t, err, api.CodeInvalid)
	}
	for _, by := range []string{"", ".", "..", "a/b", "../x", "-a", strings.Repeat("a", 200)} {
		wantCode(t, s.Pin(t.Context(), id, by), api.CodeInvalid)
	}
	none := "snap-aaaaaaaaaaaaa"
	_, err := s.Get(t.Context(), none)
	wantCode(t, err, api.CodeNotFound, none)
	_, _, err = s.Use(t.Context(), none, need())
	wantCode(t, err, api.CodeNotFound, none)
	wantCode(t, s.Remove(t.Context(), none), api.CodeNotFound, none)
	wantCode(t, s.Pin(t.Context(), none, "sbx"), api.CodeNotFound, none)
	must(t, s.Unpin(t.Context(), none, "sbx"))
}

func TestCreateThatFailsLeavesNothing(t *testing.T) {
	broken := errors.New("the driver broke")
	gone, cancel := context.WithCancelCause(t.Context())
	with := func(change func(m *api.Snapshot)) filler {
		m := meta()
		change(&m)
		return writes(m, twoFiles)
	}
	does := func(f func(dir string) error) filler {
		return func(dir string) (api.Snapshot, error) { return meta(), f(dir) }
	}
	for name, try := range map[string]struct {
		ctx  context.Context
		fill filler
		code api.Code
		says string
	}{
		"fill fails": {fill: func(dir string) (api.Snapshot, error) {
			m, _ := writes(meta(), twoFiles)(dir)
			return m, broken
		}, code: api.CodeInternal, says: "the driver broke"},
		"nothing written": {fill: writes(meta(), nil), code: api.CodeInternal, says: "0 files"},
		"a link": {fill: does(func(dir string) error {
			return os.Symlink("/etc/passwd", filepath.Join(dir, "pages.img"))
		}), code: api.CodeInternal, says: "symbolic link"},
		"a directory": {fill: does(func(dir string) error {
			return os.Mkdir(filepath.Join(dir, "d"), 0o700)
		}), code: api.CodeInternal, says: "not a regular file"},
		"a bad name": {fill: writes(meta(), map[string]string{".hidden": ""}), code: api.CodeInternal, says: ".hidden"},
		"no sandbox": {fill: with(func(m *api.Snapshot) { m.Sandbox = "" }), code: api.CodeInvalid, says: "sandbox"},
		"no key":     {fill: with(func(m *api.Snapshot) { m.Key = "" }), code: api.CodeInvalid, says: "key"},
		"bad parent": {fill: with(func(m *api.Snapshot) { m.Parent = "../x" }), code: api.CodeInvalid, says: "parent"},
		"expired":    {fill: with(func(m *api.Snapshot) { m.ExpiresAt = time.Unix(1, 0) }), code: api.CodeInvalid, says: "expired"},
		"much text": {fill: with(func(m *api.Snapshot) {
			m.Env = map[string]string{"A": strings.Repeat("x", 2<<20)}
		}), code: api.CodeInvalid, says: "bytes"},
		"caller gone": {ctx: gone, fill: func(dir string) (api.Snapshot, error) {
			cancel(errors.New("enough"))
			return writes(meta(), twoFiles)(dir)
		}, code: api.CodeCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			if try.ctx == nil {
				try.ctx = t.Context()
			}
			_, err := s.Create(try.ctx, try.fill)
			wantCode(t, err, try.code, try.says)
			nothingLeft(t, s)
		})
	}
}

// nothingLeft wants neither a snapshot nor something half-made.
func nothingLeft(t *testing.T, s *Store) {
	t.Helper()
	if list, err := s.List(t.Context(), Filter{}); err != nil || len(list) > 0 {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if n, count := s.Usage(); n != 0 || count != 0 {
		t.Errorf("%d bytes in %d snapshots", n, count)
	}
	for _, pattern := range []string{"snap-*", "tmp/*/*"} {
		if left, _ := filepath.Glob(s.path(pattern)); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func TestLimit(t *testing.T) {
	c := newClock()
	s := openIn(t, t.TempDir(), Options{MaxBytes: 40, Now: c.Now})
	brief := create(t, s, func(m *api.Snapshot) { m.ExpiresAt = c.Now().Add(time.Minute) })
	kept := create(t, s)
	_, err := s.Create(t.Context(), writes(meta(), twoFiles))
	wantCode(t, err, api.CodeExhausted, "needs 18B", "40B", "have 36B")
	if !strings.Contains(api.FixOf(err), "brig snapshot rm") {
		t.Errorf("fix: %q", api.FixOf(err))
	}
	_, _, _, err = s.Temporary(t.Context(), writes(meta(), twoFiles))
	wantCode(t, err, api.CodeExhausted)
	// What has expired makes room by itself.
	c.advance(time.Hour)
	create(t, s)
	_, err = s.Get(t.Context(), brief.ID)
	wantCode(t, err, api.CodeNotFound)
	_, err = s.Get(t.Context(), kept.ID)
	must(t, err)
}

// A full store is found before the sandbox has to stand still.
func TestLimitIsCheckedBeforeThePause(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{MaxBytes: 18})
	create(t, s)
	_, err := s.Create(t.Context(), func(string) (api.Snapshot, error) {
		t.Error("the sandbox was paused")
		return meta(), nil
	})
	wantCode(t, err, api.CodeExhausted)
}

func TestRemove(t *testing.T) {
	s := open(t)
	parent := create(t, s)
	child := create(t, s, func(m *api.Snapshot) { m.Parent = parent.ID })
	_, release, err := s.Use(t.Context(), parent.ID, need())
	must(t, err)
	_, release2, err := s.Use(t.Context(), parent.ID, need())
	must(t, err)
	for _, let := range []func(){release, release, release2} { // releasing twice is releasing once
		wantCode(t, s.Remove(t.Context(), parent.ID), api.CodeConflict, "being restored")
		let()
	}
	must(t, s.Remove(t.Context(), parent.ID))
	wantCode(t, s.Remove(t.Context(), parent.ID), api.CodeNotFound)
	// The child shares nothing with it.
	_, release, err = s.Use(t.Context(), child.ID, need())
	must(t, err)
	release()
}

func TestPins(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := openIn(t, dir, Options{Now: c.Now})
	m := create(t, s, func(m *api.Snapshot) { m.ExpiresAt = c.Now().Add(time.Minute) })
	for _, by := range []string{"sbx-b", "sbx-a", "sbx-a"} {
		must(t, s.Pin(t.Context(), m.ID, by))
	}
	// They are kept on disk, and count after the snapshot would have expired.
	c.advance(time.Hour)
	s = openIn(t, dir, Options{Now: c.Now})
	if by, err := s.Pins(m.ID); err != nil || cmp.Diff([]string{"sbx-a", "sbx-b"}, by) != "" {
		t.Errorf("pins: %v, %v", by, err)
	}
	wantCode(t, s.Remove(t.Context(), m.ID), api.CodeConflict, "sbx-a")
	if removed, err := s.GC(t.Context(), c.Now()); err != nil || len(removed) > 0 {
		t.Errorf("collected: %v, %v", removed, err)
	}
	_, release, err := s.Use(t.Context(), m.ID, need())
	must(t, err)
	release()
	for _, by := range []string{"sbx-a", "sbx-a", "sbx-b"} {
		must(t, s.Unpin(t.Context(), m.ID, by))
	}
	_, _, err = s.Use(t.Context(), m.ID, need())
	wantCode(t, err, api.CodeNotFound)
	removed, err := s.GC(t.Context(), c.Now())
	if err != nil || len(removed) != 1 || removed[0].ID != m.ID {
		t.Errorf("collected: %v, %v", removed, err)
	}
	nothingLeft(t, s)
}

func TestGC(t *testing.T) {
	c := newClock()
	s := openIn(t, t.TempDir(), Options{Now: c.Now})
	until := func(d time.Duration) func(*api.Snapshot) {
		return func(m *api.Snapshot) { m.ExpiresAt = c.Now().Add(d) }
	}
	forever := create(t, s)
	soon, used, later := create(t, s, until(time.Minute)), create(t, s, until(time.Minute)), create(t, s, until(time.Hour))
	_, release, err := s.Use(t.Context(), used.ID, need())
	must(t, err)
	c.advance(time.Minute)
	collect := func(want ...api.Snapshot) {
		t.Helper()
		got, err := s.GC(t.Context(), c.Now())
		must(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("collected (-want +got):\n%s", d)
		}
	}
	// One that has expired is nobody's to take up, and stays while it is used.
	_, err = s.Get(t.Context(), used.ID)
	wantCode(t, err, api.CodeNotFound)
	collect(soon)
	release()
	collect(used)
	c.advance(time.Hour)
	collect(later)
	collect()
	list, err := s.List(t.Context(), Filter{})
	if err != nil || len(list) != 1 || list[0].ID != forever.ID {
		t.Errorf("left: %+v, %v", list, err)
	}
}

func TestTemporary(t *testing.T) {
	s := open(t)
	m, dir, release, err := s.Temporary(t.Context(), writes(meta(), twoFiles))
	must(t, err)
	if data, err := os.ReadFile(filepath.Join(dir, "pages.img")); err != nil || string(data) != "the memory" || m.PausedMS != 7 || m.SizeBytes != 18 || !isID(m.ID) {
		t.Errorf("%q, %+v, %v", data, m, err)
	}
	if list, err := s.List(t.Context(), Filter{}); err != nil || len(list) > 0 {
		t.Errorf("listed: %+v, %v", list, err)
	}
	release()
	nothingLeft(t, s)
	broken := errors.New("the driver broke")
	_, _, _, err = s.Temporary(t.Context(), func(string) (api.Snapshot, error) { return meta(), broken })
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	nothingLeft(t, s)
}

func TestClosed(t *testing.T) {
	s, err := Open(t.TempDir(), Options{})
	must(t, err)
	m := create(t, s)
	must(t, s.Close())
	must(t, s.Close())
	if _, err := s.Create(t.Context(), writes(meta(), twoFiles)); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if err := s.Remove(t.Context(), m.ID); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(s.path("tmp")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What another living process works on is left alone.
func TestOpenBesideALivingProcess(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	_, err := s.Create(t.Context(), func(files string) (api.Snapshot, error) {
		other := openIn(t, dir, Options{})
		if _, err := other.GC(t.Context(), time.Now()); err != nil {
			return api.Snapshot{}, err
		}
		return writes(meta(), twoFiles)(files)
	})
	must(t, err)
}

func TestNoEnvironmentIsLogged(t *testing.T) {
	var log bytes.Buffer
	s := openIn(t, t.TempDir(), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	create(t, s, func(m *api.Snapshot) { m.Env = map[string]string{"NAME": "the-value-of-it"} })
	if strings.Contains(log.String(), "the-value-of-it") || !strings.Contains(log.String(), "snapshot kept") {
		t.Errorf("log: %s", log.String())
	}
}
