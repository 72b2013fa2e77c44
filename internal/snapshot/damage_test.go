package snapshot

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
)

func TestUseRefusesWhatDoesNotMatch(t *testing.T) {
	s := open(t)
	id := create(t, s).ID
	for field, n := range map[string]Need{
		"driver": {Driver: "other", Key: "build-1", Digest: "sha256:aa"},
		"key":    {Driver: "fake", Key: "other", Digest: "sha256:aa"},
		"digest": {Driver: "fake", Key: "build-1", Digest: "other"},
	} {
		was := map[string]string{"driver": "fake", "key": "build-1", "digest": "sha256:aa"}[field]
		_, _, err := s.Use(t.Context(), id, n)
		wantCode(t, err, api.CodeUnavailable, id, field, `"other"`, `"`+was+`"`)
	}
	must(t, s.Remove(t.Context(), id)) // none of them holds it
}

// Of long keys, what differs is named.
func TestUseNamesTheDifference(t *testing.T) {
	s := open(t)
	same := strings.Repeat("feature ", 200)
	id := create(t, s, func(m *api.Snapshot) { m.Key = "brig-1 " + same + "avx512 sse" }).ID
	for key, says := range map[string]string{
		"brig-2 " + same + "sse":             `its key has "brig-1 avx512" where this host's has "brig-2"`,
		"brig-1 " + same + "avx512 sse sse5": `its key has "" where this host's has "sse5"`,
		"":                                   `this host's has ""`,
	} {
		_, _, err := s.Use(t.Context(), id, Need{Driver: "fake", Key: key, Digest: "sha256:aa"})
		wantCode(t, err, api.CodeUnavailable, says)
	}
}

// rewrite changes a manifest and makes its checksum right again.
func rewrite(change func(m *api.Snapshot)) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, manifestName))
		must(t, err)
		var m api.Snapshot
		must(t, json.Unmarshal(data, &m))
		change(&m)
		data, err = json.Marshal(m)
		must(t, err)
		replace(t, dir, data)
	}
}

func replace(t *testing.T, dir string, manifest []byte) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, manifestName), manifest, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, sumName), []byte(manifestSum(manifest)), 0o600))
}

func flip(name string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		must(t, err)
		data[len(data)/2] ^= 1
		must(t, os.WriteFile(path, data, 0o600))
	}
}

func TestDamage(t *testing.T) {
	const pages = "files/pages.img"
	for name, try := range map[string]struct {
		damage func(t *testing.T, dir string)
		says   string
	}{
		"format 2":           {rewrite(func(m *api.Snapshot) { m.Format = 2 }), "format is 2 and this Brig reads format 1"},
		"format 0":           {rewrite(func(m *api.Snapshot) { m.Format = 0 }), "format is 0"},
		"another id":         {rewrite(func(m *api.Snapshot) { m.ID = "snap-bbbbbbbbbbbbb" }), "snap-bbbbbbbbbbbbb"},
		"no id":              {rewrite(func(m *api.Snapshot) { m.ID = "" }), "the id"},
		"path as id":         {rewrite(func(m *api.Snapshot) { m.ID = "../x" }), "the id"},
		"no driver":          {rewrite(func(m *api.Snapshot) { m.Driver = "" }), "no driver"},
		"path as parent":     {rewrite(func(m *api.Snapshot) { m.Parent = "../x" }), "the parent"},
		"negative size":      {rewrite(func(m *api.Snapshot) { m.Files[0].Size = -1 }), "-1 bytes"},
		"sizes overflow":     {rewrite(func(m *api.Snapshot) { m.Files[0].Size, m.Files[1].Size = math.MaxInt64, math.MaxInt64 }), "a size of"},
		"negative total":     {rewrite(func(m *api.Snapshot) { m.SizeBytes = -1 }), "-1 bytes"},
		"another size":       {rewrite(func(m *api.Snapshot) { m.Files[0].Size--; m.SizeBytes-- }), "bytes and not"},
		"negative pause":     {rewrite(func(m *api.Snapshot) { m.PausedMS = -1 }), "-1 ms"},
		"name with slash":    {rewrite(func(m *api.Snapshot) { m.Files[0].Name = "../manifest.json" }), `"../manifest.json"`},
		"absolute name":      {rewrite(func(m *api.Snapshot) { m.Files[0].Name = "/etc/passwd" }), `"/etc/passwd"`},
		"dots as name":       {rewrite(func(m *api.Snapshot) { m.Files[0].Name = ".." }), `".."`},
		"empty name":         {rewrite(func(m *api.Snapshot) { m.Files[0].Name = "" }), `""`},
		"long name":          {rewrite(func(m *api.Snapshot) { m.Files[0].Name = strings.Repeat("a", 5000) }), "aaa"},
		"a name twice":       {rewrite(func(m *api.Snapshot) { m.Files[0].Name = m.Files[1].Name }), "lists the file"},
		"unlisted file":      {rewrite(func(m *api.Snapshot) { m.SizeBytes -= m.Files[1].Size; m.Files = m.Files[:1] }), "does not list"},
		"no files":           {rewrite(func(m *api.Snapshot) { m.Files, m.SizeBytes = nil, 0 }), "0 files"},
		"no checksum":        {rewrite(func(m *api.Snapshot) { m.Files[0].SHA256 = "" }), "checksum"},
		"another checksum":   {rewrite(func(m *api.Snapshot) { m.Files[0].SHA256 = strings.Repeat("0", 64) }), "has changed"},
		"manifest of 2 MiB":  {func(t *testing.T, dir string) { replace(t, dir, make([]byte, 2<<20)) }, "more than"},
		"manifest is text":   {func(t *testing.T, dir string) { replace(t, dir, []byte("hello")) }, "no JSON"},
		"manifest is empty":  {func(t *testing.T, dir string) { replace(t, dir, nil) }, "no JSON"},
		"manifest is a list": {func(t *testing.T, dir string) { replace(t, dir, []byte("[]")) }, "no JSON"},
		"wrong types":        {func(t *testing.T, dir string) { replace(t, dir, []byte(`{"format":1,"id":7}`)) }, "no manifest"},
		"two manifests": {func(t *testing.T, dir string) {
			data, err := os.ReadFile(filepath.Join(dir, manifestName))
			must(t, err)
			replace(t, dir, append(data, data...))
		}, "no JSON"},
		"manifest flipped": {flip(manifestName), "manifest"},
		"sum flipped":      {flip(sumName), "manifest has changed"},
		"manifest missing": {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, manifestName))) }, "no manifest"},
		"sum missing":      {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, sumName))) }, "checksum of its manifest"},
		"manifest torn":    {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, manifestName), 30)) }, "no JSON"},
		"manifest a link":  {func(t *testing.T, dir string) { link(t, filepath.Join(dir, manifestName)) }, "symbolic link"},
		"manifest a FIFO":  {func(t *testing.T, dir string) { fifo(t, filepath.Join(dir, manifestName)) }, "not a regular file"},
		"file missing":     {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, pages))) }, "pages.img is missing"},
		"file a link":      {func(t *testing.T, dir string) { link(t, filepath.Join(dir, pages)) }, "pages.img is not a regular file"},
		"file a FIFO":      {func(t *testing.T, dir string) { fifo(t, filepath.Join(dir, pages)) }, "pages.img is not a regular file"},
		"file truncated":   {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, pages), 3)) }, "has 3 bytes and not 10"},
		"file grown":       {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, pages), 30)) }, "has 30 bytes and not 10"},
		"file flipped":     {flip(pages), "content of its file pages.img has changed"},
		"extra file":       {func(t *testing.T, dir string) { must(t, os.WriteFile(filepath.Join(dir, "files/x"), nil, 0o600)) }, `"x" that its manifest does not list`},
		"files a link":     {func(t *testing.T, dir string) { link(t, filepath.Join(dir, "files")) }, "not a directory"},
		"files missing":    {func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "files"))) }, "its directory files"},
		"itself a link":    {func(t *testing.T, dir string) { link(t, dir) }, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			whole, bad := create(t, s), create(t, s)
			try.damage(t, s.path(bad.ID))
			_, _, err := s.Use(t.Context(), bad.ID, need())
			wantCode(t, err, api.CodeUnavailable, bad.ID, try.says)
			// It hinders neither the others nor its removal.
			if _, err := s.List(t.Context(), Filter{}); err != nil {
				t.Error(err)
			}
			_, release, err := s.Use(t.Context(), whole.ID, need())
			must(t, err)
			release()
			if _, err := s.GC(t.Context(), whole.CreatedAt); err != nil {
				t.Error(err)
			}
			must(t, s.Remove(t.Context(), bad.ID))
			if _, count := s.Usage(); count != 1 {
				t.Errorf("%d snapshots are left", count)
			}
		})
	}
}

// link moves what is at path away and puts a symbolic link to it there.
func link(t *testing.T, path string) {
	t.Helper()
	away := filepath.Join(t.TempDir(), "away")
	must(t, os.Rename(path, away))
	must(t, os.Symlink(away, path))
}

func fifo(t *testing.T, path string) {
	t.Helper()
	must(t, os.Remove(path))
	must(t, syscall.Mkfifo(path, 0o600))
}

// The files are read whole once a boot, and again when one looks different.
func TestCheckedOnce(t *testing.T) {
	s := open(t)
	m := create(t, s)
	mark := s.path(m.ID, checkedName)
	use := func() error {
		_, release, err := s.Use(t.Context(), m.ID, need())
		if err == nil {
			release()
		}
		return err
	}
	first, err := os.ReadFile(mark)
	must(t, err)
	must(t, os.Remove(mark))
	must(t, use())
	if again, err := os.ReadFile(mark); err != nil || string(again) != string(first) {
		t.Errorf("marked %q, then %q, %v", first, again, err)
	}
	must(t, os.WriteFile(mark, []byte("of another boot\n"), 0o600))
	flip("files/pages.img")(t, s.path(m.ID))
	wantCode(t, use(), api.CodeUnavailable, "has changed")
	flip("files/pages.img")(t, s.path(m.ID)) // back
	must(t, use())
}

func FuzzManifest(f *testing.F) {
	m := meta()
	m.ID, m.Format, m.CreatedAt = "snap-aaaaaaaaaaaaa", 1, newClock().Now()
	m.Files = []api.SnapshotFile{{Name: "pages.img", Size: 3, SHA256: strings.Repeat("a", 64)}}
	m.SizeBytes = 3
	good, err := json.Marshal(m)
	must(f, err)
	f.Add(good)
	for _, bad := range []string{``, `{}`, `null`, `[]`, `{"format":2}`, `{"format":1e400}`, `{"format":1,"files":[{"name":"../x","size":-1}]}`} {
		f.Add([]byte(bad))
	}
	f.Add([]byte(strings.Replace(string(good), `"pages.img"`, `"..\/x"`, 1)))
	f.Add([]byte(strings.ReplaceAll(string(good), `:3`, `:9223372036854775807`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		total := int64(0)
		for _, file := range m.Files {
			if filepath.Base(file.Name) != file.Name || !filepath.IsLocal(file.Name) || file.Name == "." || file.Size < 0 {
				t.Errorf("accepted %+v", file)
			}
			total += file.Size
		}
		if m.Format != 1 || checkID(m.ID) != nil || total != m.SizeBytes || total < 0 || len(m.Files) == 0 {
			t.Errorf("accepted %+v", m)
		}
		again, err := json.Marshal(m)
		must(t, err)
		if _, err := parseManifest(again); err != nil {
			t.Errorf("%v in what was accepted before: %s", err, again)
		}
	})
}
