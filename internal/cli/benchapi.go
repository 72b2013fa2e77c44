package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/bench"
	"github.com/brigdev/brig/internal/httpapi"
)

type benchAPIOptions struct {
	n        int
	turns    int
	callers  []int
	template string
	output   string
}

func newBenchAPICommand(env *Env) *cobra.Command {
	var o benchAPIOptions
	c := &cobra.Command{
		Use:   "api",
		Short: "Measure sandboxes over the API: alone, and many at a time",
		Long: `Measures create, exec and delete over the HTTP API: first in turns with the same
by calls of the library, which tells what the server adds; then by 1, 8 and 32
callers at a time. The server is one of its own on a free port of 127.0.0.1, with a
key; with BRIG_API set it is that one, and nothing is compared.`,
		Example: `  brig bench api
  brig bench api -n 10000 --callers 32 -o report.json`,
		Args: args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return runBenchAPI(c.Context(), env, o) },
	}
	f := c.Flags()
	f.IntVarP(&o.n, "n", "n", 300, "items of each number of callers")
	f.IntVar(&o.turns, "turns", 100, "items of the comparison with the library")
	f.IntSliceVar(&o.callers, "callers", []int{1, 8, 32}, "how many callers there are at a time")
	f.StringVar(&o.template, "template", "python", "root filesystem, a template's `NAME`")
	f.StringVarP(&o.output, "output", "o", "", "also write the report as JSON to this file")
	return c
}

func runBenchAPI(ctx context.Context, env *Env, o benchAPIOptions) (err error) {
	if o.n < 1 || o.turns < 1 {
		return api.Errorf(api.CodeInvalid, "cannot measure no items: because at least one is needed").WithFix("use -n 300 --turns 100")
	}
	for _, n := range o.callers {
		if n < 1 || n > 1024 {
			return api.Errorf(api.CodeInvalid, "cannot have %d callers: because the range is 1 to 1024", n).WithFix("use --callers 1,8,32")
		}
	}
	report := bench.NewReport(readVersion().Version)
	unknown := func() (time.Duration, bool) { return 0, false }
	if c, err := chosen(env); err != nil {
		return err
	} else if c != nil {
		return o.measure(ctx, env, bench.Served(c, o.template, unknown), report)
	}
	s, err := openBenchServer(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	cpu := bench.CPUOf(s.app.Drivers)
	served := bench.Served(s.client, o.template, cpu)
	report.Rows, err = bench.Measure(ctx, []bench.Subject{bench.Embedded(s.app.Host, o.template, cpu), served}, o.turns, benchProgress(env, "turns"))
	if err != nil {
		return err
	}
	report.OverheadMS = report.Rows[1].P50MS - report.Rows[0].P50MS
	return o.measure(ctx, env, served, report)
}

// measure adds a row for each number of callers.
func (o benchAPIOptions) measure(ctx context.Context, env *Env, served bench.Subject, report bench.Report) error {
	for _, n := range o.callers {
		row, err := bench.Load(ctx, served, n, o.n, benchProgress(env, fmt.Sprintf("%d at a time", n)))
		if err != nil {
			return err
		}
		report.Rows = append(report.Rows, row)
	}
	return writeReport(env, o.output, report)
}

// benchServer is a server of this process, reached over TCP with a key.
type benchServer struct {
	app     *app.App
	service *app.Service
	client  *client.Client
	dir     string
	stop    context.CancelFunc
	done    chan error
}

func openBenchServer(ctx context.Context, env *Env) (s *benchServer, err error) {
	options, err := env.AppOptions()
	if err != nil {
		return nil, err
	}
	s = &benchServer{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	// A state directory of its own: another server may have the usual one.
	if s.dir, err = os.MkdirTemp("", "brig-bench-api-"); err != nil {
		return s, err
	}
	options.StateDir = s.dir
	if s.app, err = env.Open(ctx, options); err != nil {
		return s, err
	}
	if s.service, err = s.app.OpenService(options, readVersion().Version); err != nil {
		return s, err
	}
	return s, s.serve(ctx)
}

func (s *benchServer) serve(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return cannotServe(err)
	}
	key, secret, err := s.service.Keys.Mint("brig bench api", "bench", time.Hour)
	if err != nil {
		l.Close()
		return err
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done = make(chan error, 1)
	go func() {
		err := s.service.API.Serve(ctx, []httpapi.Listener{{Listener: l}}, drainTime)
		s.done <- errors.Join(err, s.service.Keys.Revoke(key.Prefix))
	}()
	s.client, err = client.New("http://"+l.Addr().String(), secret)
	return err
}

func (s *benchServer) close() error {
	var errs []error
	if s.client != nil {
		s.client.Close()
	}
	if s.stop != nil {
		s.stop()
		errs = append(errs, <-s.done)
	}
	if s.service != nil {
		errs = append(errs, s.service.Close())
	}
	if s.app != nil {
		errs = append(errs, s.app.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
