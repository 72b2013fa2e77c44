// Package storetest is the contract of store.Store: every implementation runs
// it from its own test in three lines.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/brigdev/brig/internal/store"
)

// Opener opens one and the same store again and again, as a process that is
// restarted does. Run closes what it opened before it opens again.
type Opener func(t *testing.T) store.Store

// Run checks that what fresh makes keeps every promise of store.Store. Each
// call of fresh gives an opener of a new, empty store.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	tests := []struct {
		name string
		run  func(t *testing.T, open Opener)
	}{
		{"create once", createOnce},
		{"update needs the latest revision", updateChecks},
		{"get", getLatest},
		{"bad keys and values", refuses},
		{"large value", largeValue},
		{"all, oldest write first", allInOrder},
		{"all stops early and on cancel", allStops},
		{"all while writing", allWhileWriting},
		{"survives reopening", reopens},
		{"closed", closed},
		{"cancelled context", cancelled},
		{"one winner among many writers", oneWinner},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			open := fresh(t)
			tc.run(t, open)
		})
	}
}

// MustCreate creates a record or ends the test.
func MustCreate(t *testing.T, s store.Store, key, value string) uint64 {
	t.Helper()
	rev, err := s.Create(t.Context(), key, []byte(value))
	if err != nil {
		t.Fatalf("Create(%s): %v", key, err)
	}
	return rev
}

func opened(t *testing.T, open Opener) store.Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func createOnce(t *testing.T, open Opener) {
	s := opened(t, open)
	MustCreate(t, s, "a", "1")
	_, err := s.Create(t.Context(), "a", []byte("2"))
	wantErr(t, "second Create", err, store.ErrExists)
	wantValue(t, s, "a", "1")
}

func updateChecks(t *testing.T, open Opener) {
	s := opened(t, open)
	rev := MustCreate(t, s, "a", "1")
	MustCreate(t, s, "b", "other") // revisions of other keys must not matter
	next, err := s.Update(t.Context(), "a", []byte("2"), rev)
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	_, err = s.Update(t.Context(), "a", []byte("late"), rev)
	wantErr(t, "Update with an old revision", err, store.ErrConflict)
	_, err = s.Update(t.Context(), "none", []byte("x"), next)
	wantErr(t, "Update of no record", err, store.ErrConflict)
	_, err = s.Update(t.Context(), "none", []byte("x"), 0)
	wantErr(t, "Update of no record with revision 0", err, store.ErrConflict)
	wantValue(t, s, "a", "2")
	if _, err := s.Update(t.Context(), "a", nil, next); err != nil {
		t.Errorf("Update to an empty value: %v", err)
	}
	wantValue(t, s, "a", "")
}

func getLatest(t *testing.T, open Opener) {
	s := opened(t, open)
	_, err := s.Get(t.Context(), "a")
	wantErr(t, "Get of no record", err, store.ErrNotFound)
	rev := MustCreate(t, s, "a", "\x00\xffbytes")
	r, err := s.Get(t.Context(), "a")
	if err != nil || r.Rev != rev || r.Key != "a" || string(r.Value) != "\x00\xffbytes" {
		t.Errorf("Get = %+v, %v; want revision %d", r, err, rev)
	}
}

func refuses(t *testing.T, open Opener) {
	s := opened(t, open)
	for _, key := range []string{"", "a.b", "a b", "a*", "ä", "a/b", strings.Repeat("k", store.MaxKeyBytes+1)} {
		_, err := s.Create(t.Context(), key, nil)
		wantErr(t, fmt.Sprintf("Create(%q)", key), err, store.ErrInvalid)
		_, err = s.Get(t.Context(), key)
		wantErr(t, fmt.Sprintf("Get(%q)", key), err, store.ErrInvalid)
	}
	_, err := s.Create(t.Context(), "big", make([]byte, store.MaxValueBytes+1))
	wantErr(t, "Create of too large a value", err, store.ErrInvalid)
	MustCreate(t, s, strings.Repeat("k", store.MaxKeyBytes), "")
}

func largeValue(t *testing.T, open Opener) {
	s := opened(t, open)
	big := bytes.Repeat([]byte("0123456789abcdef"), store.MaxValueBytes/16)
	rev, err := s.Create(t.Context(), "big", big)
	if err != nil {
		t.Fatalf("Create of %d bytes: %v", len(big), err)
	}
	big[0] = 'X'
	if _, err := s.Update(t.Context(), "big", big, rev); err != nil {
		t.Fatalf("Update of %d bytes: %v", len(big), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, open)
	r, err := s.Get(t.Context(), "big")
	if err != nil || !bytes.Equal(r.Value, big) {
		t.Errorf("Get gave %d bytes, %v; want the %d written", len(r.Value), err, len(big))
	}
	if got := keys(t, s); len(got) != 1 {
		t.Errorf("All gave %v, want [big]", got)
	}
}

func allInOrder(t *testing.T, open Opener) {
	s := opened(t, open)
	if got := keys(t, s); len(got) != 0 {
		t.Fatalf("All of an empty store gave %v", got)
	}
	var want []string
	first := MustCreate(t, s, "first", "1")
	for i := range 300 {
		key := fmt.Sprintf("k%d", i)
		MustCreate(t, s, key, key)
		want = append(want, key)
	}
	if _, err := s.Update(t.Context(), "first", []byte("2"), first); err != nil {
		t.Fatal(err)
	}
	want = append(want, "first") // a rewritten record is the youngest
	if got := keys(t, s); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("All gave %v\nwant %v", got, want)
	}
}

func allStops(t *testing.T, open Opener) {
	s := opened(t, open)
	for i := range 10 {
		MustCreate(t, s, fmt.Sprintf("k%d", i), "v")
	}
	n := 0
	for range s.All(t.Context()) {
		if n++; n == 3 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range s.All(ctx) {
		if last = err; err != nil {
			break
		}
		cancel()
	}
	wantErr(t, "All after cancel", last, context.Canceled)
}

func allWhileWriting(t *testing.T, open Opener) {
	s := opened(t, open)
	revs := map[string]uint64{}
	for i := range 20 {
		key := fmt.Sprintf("k%d", i)
		revs[key] = MustCreate(t, s, key, "v")
	}
	seen := map[string]bool{}
	for r, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[r.Key] {
			t.Fatalf("%s came twice", r.Key)
		}
		seen[r.Key] = true
		if _, err := s.Update(t.Context(), r.Key, []byte("w"), r.Rev); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != len(revs) {
		t.Errorf("All gave %d records, want %d", len(seen), len(revs))
	}
}

func reopens(t *testing.T, open Opener) {
	s := opened(t, open)
	rev := MustCreate(t, s, "a", "1")
	rev2, err := s.Update(t.Context(), "a", []byte("2"), rev)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, open)
	wantValue(t, s, "a", "2")
	_, err = s.Update(t.Context(), "a", []byte("late"), rev)
	wantErr(t, "Update with a revision from before", err, store.ErrConflict)
	if _, err := s.Update(t.Context(), "a", []byte("3"), rev2); err != nil {
		t.Errorf("Update after reopening: %v", err)
	}
	_, err = s.Create(t.Context(), "a", nil)
	wantErr(t, "Create after reopening", err, store.ErrExists)
}

func closed(t *testing.T, open Opener) {
	s := opened(t, open)
	MustCreate(t, s, "a", "1")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	_, err := s.Create(t.Context(), "b", nil)
	wantErr(t, "Create", err, store.ErrClosed)
	_, err = s.Get(t.Context(), "a")
	wantErr(t, "Get", err, store.ErrClosed)
	for _, err = range s.All(t.Context()) {
		if err != nil {
			break
		}
	}
	wantErr(t, "All", err, store.ErrClosed)
}

func cancelled(t *testing.T, open Opener) {
	s := opened(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Create(ctx, "a", nil)
	wantErr(t, "Create", err, context.Canceled)
	_, err = s.Get(ctx, "a")
	wantErr(t, "Get", err, context.Canceled)
}

func oneWinner(t *testing.T, open Opener) {
	s := opened(t, open)
	const writers, keysEach = 8, 20
	var mu sync.Mutex
	created, updated := 0, 0
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range keysEach {
				key := fmt.Sprintf("k%d", i)
				_, err := s.Create(t.Context(), key, nil)
				mu.Lock()
				if err == nil {
					created++
				} else if !errors.Is(err, store.ErrExists) {
					t.Errorf("Create: %v", err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	r, err := s.Get(t.Context(), "k0")
	if err != nil {
		t.Fatal(err)
	}
	for range writers {
		wg.Go(func() {
			_, err := s.Update(t.Context(), "k0", []byte("mine"), r.Rev)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				updated++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Errorf("Update: %v", err)
			}
		})
	}
	wg.Wait()
	if created != keysEach || updated != 1 {
		t.Errorf("%d creates and %d updates won, want %d and 1", created, updated, keysEach)
	}
}

func wantValue(t *testing.T, s store.Store, key, want string) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil || string(r.Value) != want {
		t.Errorf("Get(%s) = %q, %v; want %q", key, r.Value, err, want)
	}
}

func keys(t *testing.T, s store.Store) []string {
	t.Helper()
	var list []string
	for r, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatalf("All: %v", err)
		}
		list = append(list, r.Key)
	}
	return list
}
