package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/brigdev/brig/internal/store"
)

// startServer runs a NATS server whose only clients are in this process. When
// it returns an error together with a server, that has to be shut down.
func startServer(dir string, log *slog.Logger) (*server.Server, error) {
	// Headers and the protocol's own overhead come on top of the largest value.
	const maxPayload = store.MaxValueBytes + 64<<10
	srv, err := server.NewServer(&server.Options{
		ServerName:             "brig",
		DontListen:             true,
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
		MaxPayload:             maxPayload,
		MaxPending:             4 * maxPayload,
		JetStream:              true,
		StoreDir:               dir,
		SyncAlways:             true,
		// The default is a share of what is free now, and a journal that was
		// larger would not open. Our own reserve keeps the disk from filling.
		JetStreamMaxStore:  math.MaxInt64,
		JetStreamMaxMemory: 64 << 20,
	})
	if err != nil {
		return nil, err
	}
	l := &logger{log: log}
	srv.SetLogger(l, false, false)
	srv.Start()
	if err := l.fatal(); err != nil {
		return srv, err
	}
	if !srv.ReadyForConnections(writeTimeout) {
		return srv, errors.New("it did not start within " + writeTimeout.String())
	}
	return srv, nil
}

// logger passes the server's warnings on, and keeps what it calls fatal: the
// server expects the process to end there, and an embedding one must not.
type logger struct {
	log *slog.Logger
	mu  sync.Mutex
	err error
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(string, ...any)           {}
func (l *logger) Tracef(string, ...any)           {}

func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = fmt.Errorf(format, v...)
	l.log.Error(l.err.Error())
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

var _ server.Logger = (*logger)(nil)

