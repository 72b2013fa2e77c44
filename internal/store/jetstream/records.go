package jetstream

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/brigdev/brig/internal/store"
)

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return s.publish(ctx, key, value, 0, store.ErrExists)
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if rev == 0 {
		return 0, store.ErrConflict // to JetStream 0 would mean "no such key yet"
	}
	return s.publish(ctx, key, value, rev, store.ErrConflict)
}

func (s *Store) publish(ctx context.Context, key string, value []byte, rev uint64, onMismatch error) (uint64, error) {
	if err := store.Check(key, len(value)); err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if err := s.room(len(value), rev != 0); err != nil {
		return 0, err
	}
	// JetStream does not answer a write that the disk refused.
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	defer context.AfterFunc(s.broken, cancel)()
	ack, err := s.js.Publish(ctx, prefix+key, value, jetstream.WithExpectLastSequencePerSubject(rev))
	var apiErr *jetstream.APIError
	switch {
	case err == nil:
		return ack.Sequence, nil
	case errors.As(err, &apiErr) && apiErr.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return 0, onMismatch
	}
	return 0, s.classify(err, "write to the journal")
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := store.Check(key, 0); err != nil {
		return store.Record{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return store.Record{}, err
	}
	m, err := s.stream.GetLastMsgForSubject(ctx, prefix+key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return store.Record{}, store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, s.classify(err, "read the journal")
	}
	return record(m), nil
}

// All implements store.Store.
func (s *Store) All(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		last, err := s.lastSequence(ctx)
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		for next := uint64(1); next <= last; {
			r, err := s.from(ctx, next)
			if errors.Is(err, store.ErrNotFound) || err == nil && r.Rev > last {
				return // what is left was written after the stream began
			}
			if !yield(r, err) || err != nil {
				return
			}
			next = r.Rev + 1
		}
	}
}

// from reads the first record whose revision is at least rev.
func (s *Store) from(ctx context.Context, rev uint64) (store.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return store.Record{}, err
	}
	m, err := s.stream.GetMsg(ctx, rev, jetstream.WithGetMsgSubject(subjects))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return store.Record{}, store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, s.classify(err, "read the journal")
	}
	return record(m), nil
}

func (s *Store) lastSequence(ctx context.Context) (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, s.classify(err, "read the journal")
	}
	return info.State.LastSeq, nil
}

func (s *Store) ready(ctx context.Context) error {
	if s.closed {
		return store.ErrClosed
	}
	return ctx.Err()
}

func record(m *jetstream.RawStreamMsg) store.Record {
	return store.Record{Key: strings.TrimPrefix(m.Subject, prefix), Value: m.Data, Rev: m.Sequence}
}
