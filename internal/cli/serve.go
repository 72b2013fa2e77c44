package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/httpapi"
)

const (
	// drainTime is how long requests under way may take when the server ends.
	drainTime = 10 * time.Second
	// lonelyTime is after how long without sandboxes and requests a server ends that
	// a command started.
	lonelyTime = 10 * time.Minute
)

type serveOptions struct {
	listen string
	socket string
	data   string
	local  bool
	stop   bool
	unsafe bool
}

// AddFlags declares the flags of serve.
func (o *serveOptions) AddFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:7777", "TCP `ADDRESS`, for callers with a key; empty for none")
	f.StringVar(&o.socket, "socket", "", "unix socket, a `PATH`, for this user without a key (default api.sock in $BRIG_STATE)")
	f.StringVar(&o.data, "data", "", "`DIR` instead of $BRIG_DATA")
	f.BoolVar(&o.local, "local", false, "only the socket, and end after 10 minutes without sandboxes: how commands start it")
	f.BoolVar(&o.stop, "stop", false, "end the server that runs, and its sandboxes")
	f.BoolVar(&o.unsafe, "unsafe-no-isolation", false, "admit the isolation process, which is no boundary at all")
}

func newServeCommand(env *Env) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve long-lived sandboxes over HTTP",
		Long: `Serve long-lived sandboxes over HTTP, below /v1, until SIGTERM or Ctrl-C. Over
TCP every caller needs a key: the first start makes one and prints it, 'brig key'
makes more. Over the unix socket, which only this user can open, none is needed.

When the server ends, its sandboxes end with it, but for hibernated ones. Commands
like 'brig sandbox' start a server by themselves when none runs and BRIG_API is not
set.`,
		Example: `  brig serve
  brig serve --listen 0.0.0.0:7777 --data /srv/brig
  brig serve --stop`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runServe(c.Context(), env, o) },
	}
	o.AddFlags(c)
	return c
}

func runServe(ctx context.Context, env *Env, o serveOptions) (err error) {
	opts, err := env.AppOptions()
	if err != nil {
		return err
	}
	if o.data != "" {
		if opts.DataDir, err = filepath.Abs(o.data); err != nil {
			return err
		}
	}
	if o.stop {
		return stopServer(ctx, opts.StateDir)
	}
	opts.Unsafe = o.unsafe
	opts.Log = serverLog(env)
	if err := os.MkdirAll(opts.StateDir, 0o700); err != nil {
		return cannotServe(err)
	}
	lock, err := lockServer(opts.StateDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	var serving atomic.Pointer[app.Service]
	opts.Egress.Audit = func(e api.EgressEvent) {
		if s := serving.Load(); s != nil {
			s.Sandboxes.Audit(e)
		}
	}
	brig, err := env.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, brig.Close()) }()
	service, err := brig.OpenService(opts, readVersion().Version)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	serving.Store(service)
	listeners, err := o.listeners(opts)
	if err != nil {
		return err
	}
	if err := o.announce(env, service, listeners); err != nil {
		return err
	}
	if o.local {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		defer stop()
		go endWhenLonely(ctx, service, stop)
	}
	return service.API.Serve(ctx, listeners, drainTime)
}

// serverLog is the log of a server: what it did, not only what went wrong.
func serverLog(env *Env) *slog.Logger {
	level := slog.LevelInfo
	if env.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: level}))
}

// listeners opens what callers connect to. The caller has the server's lock, so a
// socket that is there is a dead server's.
func (o serveOptions) listeners(opts app.Options) ([]httpapi.Listener, error) {
	socket := o.socket
	if socket == "" {
		socket = socketIn(opts.StateDir)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, cannotServe(err)
	}
	l, err := net.Listen("unix", socket)
	if err == nil {
		err = os.Chmod(socket, 0o600)
	}
	if err != nil {
		return nil, cannotServe(err)
	}
	list := []httpapi.Listener{{Listener: l, Trusted: true}}
	if o.local || o.listen == "" {
		return list, nil
	}
	tcp, err := net.Listen("tcp", o.listen)
	if err != nil {
		l.Close()
		return nil, cannotServe(err)
	}
	return append(list, httpapi.Listener{Listener: tcp}), nil
}

func cannotServe(err error) error {
	return api.Errorf(api.CodeUnavailable, "cannot serve: because %w", err).
		WithFix("use another --listen or --socket, or another BRIG_STATE")
}

// announce says where the server is, and makes the first key.
func (o serveOptions) announce(env *Env, s *app.Service, listeners []httpapi.Listener) error {
	if o.local {
		return nil
	}
	for _, l := range listeners {
		at := "http://" + l.Addr().String()
		if l.Trusted {
			at = l.Addr().String()
		}
		fmt.Fprintf(env.Stdout, "brig serves at %s\n", at)
	}
	if len(listeners) == 1 {
		return nil
	}
	keys, err := s.Keys.List()
	if err != nil || len(keys) > 0 {
		return err
	}
	_, secret, err := s.Keys.Mint("first", "", 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "key: %s\n  (shown only now: use it as BRIG_API_KEY; 'brig key create' makes others)\n", secret)
	return err
}

// endWhenLonely ends a server that nobody has used for a while.
func endWhenLonely(ctx context.Context, s *app.Service, stop func()) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			switch {
			case s.Sandboxes.Living() > 0:
				since = time.Time{}
			case since.IsZero():
				since = now
			case now.Sub(since) > lonelyTime && s.API.Idle() > lonelyTime:
				stop()
				return
			}
		}
	}
}

func socketIn(stateDir string) string { return filepath.Join(stateDir, "api.sock") }
func lockIn(stateDir string) string   { return filepath.Join(stateDir, "serve.lock") }

// lockServer makes this process the one server of a state directory. The kernel
// drops the lock when the process ends, however it ends; its text is the pid.
func lockServer(stateDir string) (*os.File, error) {
	f, err := os.OpenFile(lockIn(stateDir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, cannotServe(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, api.Errorf(api.CodeConflict, "cannot serve: because another server uses this state directory").
			WithFix("use that one, end it with 'brig serve --stop', or set another BRIG_STATE")
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, cannotServe(err)
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		f.Close()
		return nil, cannotServe(err)
	}
	return f, nil
}

// stopServer ends the server of a state directory and waits until it is gone.
func stopServer(ctx context.Context, stateDir string) error {
	f, err := os.OpenFile(lockIn(stateDir), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cannotServe(err)
	}
	defer f.Close()
	for signalled := false; ; {
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			return nil // nobody holds it
		}
		if !signalled {
			if err := signalHolder(f); err != nil {
				return err
			}
			signalled = true
		}
		select {
		case <-ctx.Done():
			return api.Errorf(api.CodeCancelled, "cannot wait for the server to end: because the caller gave up")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// signalHolder asks the process that holds the lock to end.
func signalHolder(f *os.File) error {
	b := make([]byte, 32)
	n, err := f.ReadAt(b, 0)
	pid, bad := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if bad != nil || pid <= 1 {
		return api.Errorf(api.CodeInternal, "cannot end the server: because its lock does not say which process it is: %w", err)
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		return api.Errorf(api.CodeUnavailable, "cannot end the server: because %w", err).WithFix("end process %d as its user", pid)
	}
	return nil
}
