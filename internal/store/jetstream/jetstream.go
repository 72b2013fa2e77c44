// Package jetstream keeps a store.Store in NATS JetStream, embedded in this
// process: no listener, no port, no signal handler, every write synchronous.
//
// One stream holds a subject per key and one message per subject, so the
// stream is a table: publishing replaces the value, the sequence number is the
// revision, and JetStream's check of the subject's last sequence makes every
// write a compare-and-set. Writes are made durable one after the other, so the
// disk's flush time bounds how many there are per second.
package jetstream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/store"
)

const (
	streamName = "records"
	subjects   = "r.*"
	prefix     = "r."

	// writeTimeout is far above the slowest flush of a disk that works.
	writeTimeout = 30 * time.Second
)

// DefaultReserve is how much of the disk is left free. JetStream cannot go on
// in a stream whose write failed half-way, so the disk is never filled.
const DefaultReserve = 16 << 20

// Options are the choices of Open. The zero value is ready to use.
type Options struct {
	// Reserve is how many bytes of the disk stay free; 0 means DefaultReserve.
	Reserve int64
	// Log gets JetStream's own warnings and errors; nil discards them.
	Log *slog.Logger
}

// Store is a store on disk.
type Store struct {
	dir     string
	reserve int64
	lock    *os.File
	server  *server.Server
	conn    *nats.Conn
	js      jetstream.JetStream
	stream  jetstream.Stream
	// broken ends, with the reason as its cause, when JetStream could not write.
	broken context.Context

	// mu is held for reading by every operation, so that Close waits for them.
	mu     sync.RWMutex
	closed bool
}

var _ store.Store = (*Store)(nil)

// Open opens the store in dir, which is made when it does not exist. Only one
// process at a time can have it open. Errors: CodeConflict when another has it
// (the text says which), store.ErrFull when the disk has no room, CodeInvalid
// when the directory cannot be used.
func Open(ctx context.Context, dir string, opts Options) (*Store, error) {
	if opts.Reserve <= 0 {
		opts.Reserve = DefaultReserve
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, dirError(dir, err)
	}
	lock, err := acquire(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, reserve: opts.Reserve, lock: lock}
	if err := s.start(ctx, opts.Log); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, log *slog.Logger) error {
	if err := s.room(0, false); err != nil {
		return err
	}
	broken, fail := context.WithCancelCause(context.Background())
	s.broken = broken
	srv, err := startServer(s.dir, &logger{log: log, fail: fail})
	s.server = srv
	if err != nil {
		return s.classify(err, "open the journal")
	}
	s.conn, err = nats.Connect("", nats.InProcessServer(srv), nats.NoReconnect(), nats.Name("brig"))
	if err != nil {
		return s.classify(err, "open the journal")
	}
	if s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(writeTimeout)); err != nil {
		return s.classify(err, "open the journal")
	}
	s.stream, err = s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:              streamName,
		Subjects:          []string{subjects},
		MaxMsgsPerSubject: 1,
		Storage:           jetstream.FileStorage,
		AllowDirect:       true,
	})
	if err != nil {
		return s.classify(err, "open the journal")
	}
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	return s.lock.Close() // gives up the lock
}

// classify names a failure of JetStream, which by itself is often no more than
// an answer that did not come: what it logged says why.
func (s *Store) classify(err error, what string) error {
	if cause := context.Cause(s.broken); cause != nil {
		err = cause
	}
	if full := s.room(0, false); full != nil {
		return full
	}
	if strings.Contains(err.Error(), unix.ENOSPC.Error()) || strings.Contains(err.Error(), unix.EDQUOT.Error()) {
		return fullError(what, s.dir)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return api.Errorf(api.CodeInternal, "cannot %s: because JetStream failed: %w", what, err).
		WithFix("run the same command again: nothing that was written is lost")
}
