package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/auth"
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
	pool   int

	tlsCert, tlsKey         string
	socketMode, socketGroup string
	tenantSandboxes         int
	tenantMemory            byteSize
	origins                 []string
	e2bInternet             bool
}

// AddFlags declares the flags of serve.
func (o *serveOptions) AddFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:7777", "TCP `ADDRESS`, for callers with a key; empty for none")
	f.StringVar(&o.socket, "socket", "", "unix socket, a `PATH`, for this user without a key (default api.sock in $BRIG_STATE)")
	f.StringVar(&o.socketMode, "socket-mode", "0600", "who may connect to the socket, an octal `MODE`: all of them are admins")
	f.StringVar(&o.socketGroup, "socket-group", "", "give the socket to this `GROUP`")
	f.StringVar(&o.tlsCert, "tls-cert", "", "serve TCP with TLS: PEM `FILE` of the certificate chain; a renewed one is taken up")
	f.StringVar(&o.tlsKey, "tls-key", "", "PEM `FILE` of its key")
	f.IntVar(&o.tenantSandboxes, "tenant-sandboxes", 0, "how many sandboxes of one owner may run, a `COUNT` (0 = no bound)")
	f.Var(&o.tenantMemory, "tenant-memory", "memory that the sandboxes of one owner may hold (default: all of it, or three quarters when there are keys of several owners)")
	f.Lookup("tenant-memory").DefValue = ""
	f.BoolVar(&o.e2bInternet, "e2b-internet", false, "open the public internet to sandboxes that E2B's clients make, unless they say otherwise, as E2B does")
	f.StringSliceVar(&o.origins, "allow-origin", nil, "let pages of these call from a browser, with a key: `ORIGIN,…`, or *")
	f.IntVar(&o.pool, "pool", 1, "sandboxes of the kind that was asked for last to keep ready, a `COUNT`, for as long as they are asked for; each holds its memory (0 = none)")
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
TCP every caller needs a key: the first start makes one, of an admin, and prints it,
'brig key' makes more. Over the unix socket, which only this user can open, none is
needed. With --tls-cert and --tls-key TCP is HTTPS.

When the server ends, its sandboxes end with it, but for hibernated ones. Commands
like 'brig sandbox' start a server by themselves when none runs and BRIG_API is not
set.`,
		Example: `  brig serve
  brig serve --listen 0.0.0.0:7777 --tls-cert cert.pem --tls-key key.pem
  brig serve --tenant-sandboxes 50 --tenant-memory 16GiB
  brig serve --stop`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runServe(c.Context(), env, o) },
	}
	o.AddFlags(c)
	return c
}

// appOptions are what the server's App is made with.
func (o serveOptions) appOptions(env *Env) (app.Options, error) {
	opts, err := env.AppOptions()
	if err != nil {
		return opts, err
	}
	if o.data != "" {
		if opts.DataDir, err = filepath.Abs(o.data); err != nil {
			return opts, err
		}
	}
	if o.tenantSandboxes < 0 {
		return opts, api.Errorf(api.CodeInvalid, "cannot bound owners to %d sandboxes: because it is negative", o.tenantSandboxes).WithFix("use 0 for no bound")
	}
	if o.pool < 0 {
		return opts, api.Errorf(api.CodeInvalid, "cannot keep %d sandboxes ready: because it is negative", o.pool).WithFix("use 0 for none")
	}
	opts.Origins, opts.PoolSize, opts.E2BInternet = o.origins, o.pool, o.e2bInternet
	opts.TenantSandboxes, opts.TenantMemory = o.tenantSandboxes, int64(o.tenantMemory)
	opts.Unsafe = o.unsafe
	opts.Log = serverLog(env)
	return opts, nil
}

func runServe(ctx context.Context, env *Env, o serveOptions) (err error) {
	opts, err := o.appOptions(env)
	if err != nil {
		return err
	}
	if o.stop {
		return stopServer(ctx, opts.StateDir)
	}
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
		var watch sync.WaitGroup
		defer watch.Wait()
		defer stop()
		watch.Go(func() { endWhenLonely(ctx, service, stop) })
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

// announce says where the server is, and makes the first key.
func (o serveOptions) announce(env *Env, s *app.Service, listeners []httpapi.Listener) error {
	if o.local {
		return nil
	}
	for _, l := range listeners {
		at := "http://" + l.Addr().String()
		switch {
		case l.Trusted:
			at = l.Addr().String()
		case l.TLS != nil:
			at = "https://" + l.Addr().String()
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
	_, secret, err := s.Keys.Create(auth.Request{Label: "first", Scopes: []auth.Scope{auth.ScopeAdmin}})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "key: %s\n  (an admin's, shown only now: use it as BRIG_API_KEY; 'brig key create' makes others)\n", secret)
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
			case s.Working():
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
