package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/app"
)

const (
	// startWithin bounds the start of a local server; it may have to clean up after
	// dead ones.
	startWithin = 60 * time.Second
	startPoll   = 20 * time.Millisecond
	maxServeLog = 4 << 20
)

// connect gives a client of the server that the user chose with BRIG_API, else of
// the local one, which it starts if it does not run.
func connect(ctx context.Context, env *Env) (*client.Client, error) {
	if c, err := chosen(env); c != nil || err != nil {
		return c, err
	}
	opts, err := env.AppOptions()
	if err != nil {
		return nil, err
	}
	c, err := client.New(socketIn(opts.StateDir), "")
	if err != nil {
		return nil, err
	}
	if err := c.Ready(ctx); err == nil || !absent(err) {
		return c, err
	}
	return c, startServer(ctx, c, opts)
}

// chosen gives a client of the server that BRIG_API names; nil when it names none,
// and the command does its work in this process.
func chosen(env *Env) (*client.Client, error) {
	address := env.Getenv("BRIG_API")
	if address == "" {
		return nil, nil
	}
	return client.New(address, env.Getenv("BRIG_API_KEY"))
}

// absent tells whether nobody listens, as opposed to a server that has a problem.
// One that is being killed still takes connections, and drops them.
func absent(err error) bool {
	for _, gone := range []error{syscall.ENOENT, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// startServer starts a server that outlives this process and waits until it
// answers. When somebody else starts one at the same time, that one will do.
func startServer(ctx context.Context, c *client.Client, opts app.Options) error {
	if err := os.MkdirAll(opts.StateDir, 0o700); err != nil {
		return cannotServe(err)
	}
	logName := filepath.Join(opts.StateDir, "serve.log")
	log, err := openLog(logName)
	if err != nil {
		return cannotServe(err)
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return cannotServe(err)
	}
	cmd := exec.Command(self, "serve", "--local")
	cmd.Args[0] = os.Args[0]
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "BRIG_DATA="+opts.DataDir, "BRIG_STATE="+opts.StateDir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it has no terminal whose Ctrl-C reaches it
	if err := cmd.Start(); err != nil {
		return cannotServe(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the server, or with this process
	return awaitServer(ctx, c, ended, logName)
}

// openLog opens the log of local servers, which goes on where the last one ended
// until it is large.
func openLog(name string) (*os.File, error) {
	how := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if st, err := os.Stat(name); err == nil && st.Size() > maxServeLog {
		how |= os.O_TRUNC
	}
	return os.OpenFile(name, how, 0o600)
}

func awaitServer(ctx context.Context, c *client.Client, ended <-chan error, logName string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	var last error
	for {
		if last = c.Ready(ctx); last == nil || !absent(last) && ctx.Err() == nil {
			return last
		}
		select {
		case <-ended:
			// Another one may be starting: it has the lock that ours did not get.
			ended = nil
			grace, stop := context.WithTimeout(ctx, 2*time.Second)
			defer stop()
			ctx = grace
		case <-ctx.Done():
			return api.Errorf(api.CodeUnavailable, "cannot start the local server: because it does not answer%s", lastLine(logName)).
				WithFix("see %s, or run 'brig serve' to watch it", logName)
		case <-time.After(startPoll):
		}
	}
}

// lastLine is what a server said last, as the end of a sentence.
func lastLine(name string) string {
	b, err := os.ReadFile(name)
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	last := oneLine(string(lines[len(lines)-1]))
	if err != nil || last == "" {
		return ""
	}
	return ": " + last[:min(len(last), 300)]
}

// sandboxOf connects and names a sandbox, which the server will look for.
func sandboxOf(ctx context.Context, env *Env, id string) (*client.Sandbox, error) {
	c, err := connect(ctx, env)
	if err != nil {
		return nil, err
	}
	return c.Sandboxes.Open(id), nil
}
