package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/brigdev/brig/internal/store"
)

// startServer runs a NATS server whose only clients are in this process. When
// it returns an error together with a server, that has to be shut down.
func startServer(dir string, log *logger) (*server.Server, error) {
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
	srv.SetLogger(log, false, false)
	srv.Start()
	if err := log.fatal(); err != nil {
		return srv, err
	}
	if !srv.ReadyForConnections(writeTimeout) {
		return srv, errors.New("it did not start within " + writeTimeout.String())
	}
	return srv, nil
}

// logger passes the server's words on, one level lower. It keeps what the server calls fatal,
// because that expects the process to end there, and reports a failed write to
// fail, because nothing but a line in the log tells of it.
type logger struct {
	log  *slog.Logger
	fail context.CancelCauseFunc
	mu   sync.Mutex
	err  error
}

var _ server.Logger = (*logger)(nil)

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(string, ...any)           {}
func (l *logger) Tracef(string, ...any)           {}

func (l *logger) Warnf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, "disabling JetStream") {
		l.fail(errors.New(text))
	}
	l.log.Debug(text)
}

func (l *logger) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(strings.ToLower(text), "critical write error") {
		l.fail(errors.New(text))
	}
	l.log.Warn(text)
}

func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = fmt.Errorf(format, v...)
	l.log.Warn(l.err.Error())
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
