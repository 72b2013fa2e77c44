// Package store is the seam to durable state: values under keys, each with the
// revision that wrote it. It is as small as a batch needs: a value is created
// once, replaced only by somebody who knows its latest revision, and everything
// can be read back in a stream.
//
// The contract is storetest.Run; memory and jetstream pass it.
package store

import (
	"context"
	"errors"
	"iter"
)

// MaxValueBytes is the largest value a store takes.
const MaxValueBytes = 24 << 20

// MaxKeyBytes is the longest key a store takes.
const MaxKeyBytes = 128

// Record is one value as it was read.
type Record struct {
	Key   string
	Value []byte // the caller's to keep
	Rev   uint64 // hand it to Update
}

// Store keeps records. Every method may be called concurrently. A write that
// has returned without an error survives a crash of the process, and of the
// machine where the store is on disk.
//
// Any method may return an error that is none of the ones below, and then the
// outcome of a write is not known: open the store again and read.
type Store interface {
	// Create writes the first value of a key. Errors: ErrExists, ErrFull,
	// ErrInvalid, ErrClosed.
	Create(ctx context.Context, key string, value []byte) (rev uint64, err error)
	// Update replaces the value that rev wrote. Errors: ErrConflict when that
	// is no longer the latest or never was, ErrFull, ErrInvalid, ErrClosed.
	Update(ctx context.Context, key string, value []byte, rev uint64) (newRev uint64, err error)
	// Get reads the latest value. Errors: ErrNotFound, ErrInvalid, ErrClosed.
	Get(ctx context.Context, key string) (Record, error)
	// All streams every record, oldest write first, holding one in memory at a
	// time. It ends with the first error. A record that is written while the
	// stream runs may be left out, and none comes twice.
	All(ctx context.Context) iter.Seq2[Record, error]
	// Close releases everything, the lock on the directory too. It is
	// idempotent.
	Close() error
}

// The errors of a store, for errors.Is.
var (
	ErrExists   = errors.New("the key exists")
	ErrConflict = errors.New("somebody else wrote the key")
	ErrNotFound = errors.New("no such key")
	// ErrFull says that the disk has no room. Nothing that was written before
	// is lost: when there is room again the same store opens and goes on.
	ErrFull    = errors.New("the disk is full")
	ErrInvalid = errors.New("not a key or value that a store takes")
	ErrClosed  = errors.New("the store is closed")
)

// Check says whether a store takes this key and a value of this size: keys are
// 1 to MaxKeyBytes letters, digits, '-' and '_'.
func Check(key string, valueBytes int) error {
	if key == "" || len(key) > MaxKeyBytes || valueBytes > MaxValueBytes {
		return ErrInvalid
	}
	for _, c := range []byte(key) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !ok {
			return ErrInvalid
		}
	}
	return nil
}
