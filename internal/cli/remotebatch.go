package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/input"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
	"github.com/brigdev/brig/internal/durable"
)

// A batch at a server has an output directory here like any other; which batch it
// is, is in .brig/remote.json there. The same command again follows it.

// remoteBatch is remote.json.
type remoteBatch struct {
	Server  string           `json:"server"` // BRIG_API
	Batch   string           `json:"batch"`
	Input   outdir.Identity  `json:"input"`
	Request api.BatchRequest `json:"request"` // as it was begun
}

func remotePath(dir outdir.Dir) string { return filepath.Join(string(dir), ".brig", "remote.json") }

// readRemote says which server's batch a directory is of; ok is false when it is of
// none.
func readRemote(dir outdir.Dir) (r remoteBatch, ok bool, err error) {
	err = durable.ReadJSON(remotePath(dir), &r)
	var none *fs.PathError
	if errors.As(err, &none) {
		return r, false, nil
	}
	if err != nil {
		return r, false, api.Errorf(api.CodeInternal, "cannot read %s: because %w", remotePath(dir), err).WithFix("use another directory with -o")
	}
	return r, true, nil
}

// client is of the server that has the batch: BRIG_API, or else where it began.
func (r remoteBatch) client(env *Env) (*client.Client, error) {
	address := env.Getenv("BRIG_API")
	if address == "" {
		address = r.Server
	}
	return client.New(address, env.Getenv("BRIG_API_KEY"))
}

// remoteRun is one `brig batch run` against a server.
type remoteRun struct {
	env  *Env
	c    *client.Client
	o    batchRunOptions
	opts batch.Options
	out  outdir.Dir
	now  remoteBatch
}

func runBatchRemote(ctx context.Context, env *Env, c *client.Client, o batchRunOptions, opts batch.Options) error {
	switch {
	case o.repair != "":
		return notRemote("--repair-cmd")
	case o.isolation.unsafe:
		return notRemote("--unsafe-no-isolation")
	}
	if err := opts.Check(); err != nil {
		return err
	}
	r := &remoteRun{env: env, c: c, o: o, opts: opts, out: opts.Out}
	if err := r.out.Make(); err != nil {
		return err
	}
	unlock, ok, err := durable.TryLock(filepath.Join(string(r.out), ".brig", "remote.lock"))
	if err != nil || !ok {
		return api.Errorf(api.CodeConflict, "cannot run the batch in %s: because another brig works there", r.out).WithFix("wait for it, or give another directory with -o")
	}
	defer unlock()
	if err := r.begin(ctx); err != nil {
		return err
	}
	live, err := newLiveResults(r)
	if err != nil {
		return err
	}
	b, err := r.follow(ctx, live)
	live.file.Close() // what is in it is fetched again
	if ctx.Err() != nil {
		return r.leave(b)
	}
	if err != nil {
		return err
	}
	if err := r.fetch(ctx, b); err != nil {
		return err
	}
	summary := r.summary(b)
	opts.UI.End(summary)
	if err := r.out.WriteSummary(summary); err != nil {
		return err
	}
	return exitWith(batchExitCode(summary))
}

// begin creates the batch, or takes up the one that the directory is of.
func (r *remoteRun) begin(ctx context.Context) error {
	old, ok, err := readRemote(r.out)
	if err != nil {
		return err
	}
	if !ok {
		if r.out.Exists() {
			return api.Errorf(api.CodeInvalid, "cannot run the batch in %s: because the one there was begun on this machine", r.out).WithFix("unset BRIG_API, or give another directory with -o")
		}
		return r.create(ctx)
	}
	r.now = old
	if r.o.input != "-" {
		id, err := outdir.Identify(r.o.input)
		if err != nil {
			return err
		}
		if id.SHA256 != old.Input.SHA256 {
			return api.Errorf(api.CodeInvalid, "cannot go on in %s: because the batch there was begun with another input (%s)", r.out, old.Input.Path).WithFix("give the same input, or another directory with -o")
		}
	}
	if now := r.request(""); !same(old.Request, now, r.o.retryFailed) {
		return api.Errorf(api.CodeInvalid, "cannot go on in %s: because the batch there was begun with other flags", r.out).WithFix("give the same flags, or another directory with -o")
	}
	b, err := r.c.Batches.Get(ctx, old.Batch)
	if api.CodeOf(err) == api.CodeNotFound {
		return api.Errorf(api.CodeNotFound, "cannot go on in %s: because this server has not its batch %s, which was begun at %s", r.out, old.Batch, old.Server).WithFix("set BRIG_API to that server, or give another directory with -o")
	}
	if err != nil || !b.Final() || b.Status == api.BatchCompleted && !r.o.retryFailed {
		return err
	}
	again := api.BatchRetry{MissingOnly: !r.o.retryFailed, Only: r.opts.Only}
	if r.o.retryFailed {
		again.BatchLimits = r.request("").BatchLimits
	}
	_, err = r.c.Batches.Retry(ctx, old.Batch, again)
	return err
}

// same tells whether two requests are of one batch. What chooses items, and how many
// run at a time, may differ; and limits, when failed items run again.
func same(a, b api.BatchRequest, retry bool) bool {
	for _, r := range []*api.BatchRequest{&a, &b} {
		r.InputFileID, r.Only, r.Limit, r.Sample, r.Seed, r.Concurrency, r.Attempts, r.MaxFailures = "", nil, 0, 0, 0, 0, 0, 0
		if retry {
			r.BatchLimits = api.BatchLimits{}
		}
	}
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// create uploads the input and begins a batch over it.
func (r *remoteRun) create(ctx context.Context) error {
	path := r.o.input
	if path == "-" {
		var err error
		if path, _, err = r.out.SpoolInput(r.env.Stdin); err != nil {
			return err
		}
	}
	id, err := outdir.Identify(path)
	if err != nil {
		return err
	}
	r.opts.UI.Notice("sending " + api.FormatBytes(id.Bytes) + " to the server")
	file, err := r.upload(ctx, path)
	if err != nil {
		return err
	}
	b, err := r.c.Batches.Create(ctx, r.request(file.ID))
	if err == nil {
		r.now = remoteBatch{Server: r.env.Getenv("BRIG_API"), Batch: b.ID, Input: id, Request: r.request("")}
		err = durable.WriteJSON(remotePath(r.out), r.now)
	}
	return errors.Join(err, r.c.Files.Delete(ctx, file.ID)) // a batch keeps what it needs
}

// upload sends a file, or a directory as items.
func (r *remoteRun) upload(ctx context.Context, path string) (api.File, error) {
	st, err := os.Stat(path)
	if err != nil {
		return api.File{}, cannotRead("the input", err)
	}
	if !st.IsDir() {
		f, err := os.Open(path)
		if err != nil {
			return api.File{}, cannotRead("the input", err)
		}
		defer f.Close()
		return r.c.Files.Create(ctx, filepath.Base(path), f)
	}
	in, err := input.Open(path, input.Options{})
	if err != nil {
		return api.File{}, err
	}
	defer in.Close()
	pr, pw := io.Pipe()
	var sent sync.WaitGroup
	sent.Go(func() { pw.CloseWithError(writeItems(pw, in)) })
	f, err := r.c.Files.Create(ctx, filepath.Base(path)+".jsonl", pr)
	pr.Close()
	sent.Wait()
	return f, err
}

// writeItems writes a directory's programs as lines. What is none becomes a line
// that the server rejects by its name.
func writeItems(w io.Writer, in input.Reader) error {
	enc := json.NewEncoder(w)
	for {
		it, err := in.Next()
		var bad *input.Rejected
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &bad):
			err = enc.Encode(map[string]string{"custom_id": bad.CustomID})
		case err == nil:
			err = enc.Encode(it.Item)
		}
		if err != nil {
			return err
		}
	}
}

// request is what the flags ask for.
func (r *remoteRun) request(file string) api.BatchRequest {
	o, l := r.opts, r.opts.Limits
	req := api.BatchRequest{
		InputFileID: file, Template: o.Template, Isolation: o.Isolation, Per: o.Per.String(), Result: string(o.Result), Artifacts: o.Artifacts,
		Concurrency: o.Concurrency, Attempts: o.Attempts, Only: o.Only, Limit: o.Limit, Sample: o.Sample, Seed: o.Seed, MaxFailures: o.MaxFailures,
		BatchLimits: api.BatchLimits{
			TimeoutSeconds: l.Timeout.Seconds(), CPUSeconds: l.CPUTime.Seconds(), OutputBytes: l.OutputBytes,
			Limits: api.Resources{MemoryBytes: l.MemoryBytes, CPUs: l.CPUs, PIDs: l.PIDs, DiskBytes: l.DiskBytes, OpenFiles: l.OpenFiles},
		},
	}
	if o.Format != input.Auto && o.Format != input.Dir {
		req.Format = string(o.Format)
	}
	return req
}

// followEvery is how often the server is asked how far the batch is.
const followEvery = 500 * time.Millisecond

// follow shows the batch until it has ended. A server that is away for a while is
// waited for.
func (r *remoteRun) follow(ctx context.Context, live *liveResults) (b api.Batch, err error) {
	ask, quiet := onUserSignal(ctx)
	defer quiet()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	away := false
	for {
		now, err := r.c.Batches.Get(ctx, r.now.Batch)
		switch {
		case err == nil:
			b, away = now, false
		case api.CodeOf(err) != api.CodeUnavailable || ctx.Err() != nil:
			return b, err
		case !away:
			away = true
			r.opts.UI.Notice("the server does not answer; waiting for it")
		}
		if err == nil {
			live.more(ctx)
		}
		if b.Final() && err == nil {
			return b, nil
		}
		r.opts.UI.Progress(progressOf(b), false)
		select {
		case <-ctx.Done():
			return b, nil
		case <-ask:
			r.opts.UI.Progress(progressOf(b), true)
		case <-tick.C:
		}
	}
}

// leave is for Ctrl-C: the batch is the server's, and goes on.
func (r *remoteRun) leave(b api.Batch) error {
	s := r.summary(b)
	s.State, s.Reason, s.Fix = progress.Stopped, "the batch goes on at the server", "run the same command again to follow it; 'brig batch cancel "+string(r.out)+"' ends it"
	r.opts.UI.End(s)
	return exitWith(exitStopped)
}
