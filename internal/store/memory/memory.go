// Package memory is a store.Store without a disk: the fake for tests, and the
// measure of what an engine costs without its journal.
package memory

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/brigdev/brig/internal/store"
)

// Store keeps records in a map. The zero value is not ready: use New.
type Store struct {
	mu      sync.Mutex
	records map[string]store.Record
	rev     uint64
	room    int // writes until the disk is full; negative: no limit
	closed  bool
}

var _ store.Store = (*Store)(nil)

// New makes an empty store.
func New() *Store {
	return &Store{records: map[string]store.Record{}, room: -1}
}

// FillAfter makes every write after the next n fail with store.ErrFull;
// negative makes room again.
func (s *Store) FillAfter(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = n
}

// Reopen undoes Close, as opening the same directory again does.
func (s *Store) Reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = false
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return s.write(ctx, key, value, func(_ store.Record, exists bool) error {
		if exists {
			return store.ErrExists
		}
		return nil
	})
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	return s.write(ctx, key, value, func(old store.Record, exists bool) error {
		if !exists || old.Rev != rev {
			return store.ErrConflict
		}
		return nil
	})
}

func (s *Store) write(ctx context.Context, key string, value []byte, allow func(old store.Record, exists bool) error) (uint64, error) {
	if err := store.Check(key, len(value)); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	old, exists := s.records[key]
	if err := allow(old, exists); err != nil {
		return 0, err
	}
	if s.room == 0 {
		return 0, store.ErrFull
	}
	if s.room > 0 {
		s.room--
	}
	s.rev++
	s.records[key] = store.Record{Key: key, Value: bytes.Clone(value), Rev: s.rev}
	return s.rev, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := store.Check(key, 0); err != nil {
		return store.Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return store.Record{}, err
	}
	r, ok := s.records[key]
	if !ok {
		return store.Record{}, store.ErrNotFound
	}
	r.Value = bytes.Clone(r.Value)
	return r, nil
}

// All implements store.Store.
func (s *Store) All(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, want := range s.revisions() {
			r, err := s.Get(ctx, want.Key)
			if err == nil && r.Rev != want.Rev {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		s.mu.Lock()
		err := s.ready(ctx)
		s.mu.Unlock()
		if err != nil {
			yield(store.Record{}, err)
		}
	}
}

// revisions lists keys and revisions without values, oldest write first.
func (s *Store) revisions() []store.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]store.Record, 0, len(s.records))
	for _, r := range s.records {
		list = append(list, store.Record{Key: r.Key, Rev: r.Rev})
	}
	slices.SortFunc(list, func(a, b store.Record) int { return int(a.Rev) - int(b.Rev) })
	return list
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *Store) ready(ctx context.Context) error {
	if s.closed {
		return store.ErrClosed
	}
	return ctx.Err()
}
