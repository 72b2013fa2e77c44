package snapshot

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

// Several stores on one directory stand for several processes, because locks are
// between open files. Whatever the others do, a snapshot that is in use is whole.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 3 {
		s := openIn(t, dir, Options{MaxBytes: 400})
		for range 4 {
			wg.Go(func() {
				for range 30 {
					oneOf(t, s)
				}
			})
		}
	}
	wg.Wait()
	s := openIn(t, dir, Options{})
	list, err := s.List(t.Context(), Filter{})
	must(t, err)
	for _, m := range list {
		must(t, s.Remove(t.Context(), m.ID))
	}
	_, err = s.GC(t.Context(), time.Now().Add(time.Hour))
	must(t, err)
	nothingLeft(t, s)
}

// oneOf does one thing to the store and wants it to succeed, or to fail in a way
// that others may have caused.
func oneOf(t *testing.T, s *Store) {
	allow := func(err error, codes ...api.Code) {
		t.Helper()
		if err == nil {
			return
		}
		for _, c := range codes {
			if api.CodeOf(err) == c {
				return
			}
		}
		t.Error(err)
	}
	list, err := s.List(t.Context(), Filter{})
	allow(err)
	id := "snap-aaaaaaaaaaaaa"
	if len(list) > 0 {
		id = list[rand.IntN(len(list))].ID
	}
	switch rand.IntN(7) {
	case 0, 1:
		m := meta()
		m.CreatedAt = time.Now()
		m.ExpiresAt = m.CreatedAt.Add(time.Duration(1+rand.IntN(100)) * time.Millisecond)
		_, err := s.Create(t.Context(), writes(m, twoFiles))
		allow(err, api.CodeExhausted)
	case 2, 3:
		files, release, err := s.Use(t.Context(), id, need())
		allow(err, api.CodeNotFound)
		if err == nil {
			for name, want := range twoFiles {
				if data, err := os.ReadFile(filepath.Join(files, name)); err != nil || string(data) != want {
					t.Errorf("in use: %q, %v", data, err)
				}
			}
			release()
		}
	case 4:
		allow(s.Remove(t.Context(), id), api.CodeNotFound, api.CodeConflict)
	case 5:
		_, err := s.GC(t.Context(), time.Now())
		allow(err)
	case 6:
		by := "sbx-" + id
		allow(s.Pin(t.Context(), id, by), api.CodeNotFound)
		allow(s.Unpin(t.Context(), id, by))
	}
	_, err = s.Get(t.Context(), id)
	allow(err, api.CodeNotFound)
	s.Usage()
}

// Readers of one snapshot whose mark is gone wait for one that reads it whole.
func TestConcurrentFirstUse(t *testing.T) {
	s := open(t)
	m := create(t, s)
	must(t, os.Remove(s.path(m.ID, checkedName)))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			_, release, err := s.Use(t.Context(), m.ID, need())
			if err != nil {
				t.Error(err)
				return
			}
			release()
		})
	}
	wg.Wait()
	must(t, s.Remove(t.Context(), m.ID))
}
