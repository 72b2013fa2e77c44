// Package jobs is batches as a service: files that tenants upload, batches over
// them, and their results. What is kept is on disk and is read from there, so a
// batch outlives its server: the next one goes on with it. A batch itself is
// internal/batch; here is who owns it, when its turn is, and what is told of it.
//
// Below Config.Dir every tenant has a directory, named by a hash:
//
//	TENANT/files/ID, ID.json     an upload and what is known of it
//	TENANT/batches/ID/batch.json its record
//	TENANT/batches/ID/input      the upload, by another name
//	TENANT/batches/ID/lock       held by the server that runs it
//	TENANT/batches/ID/out/       as of 'brig batch run -o'
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
	"github.com/brigdev/brig/internal/fair"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/store"
)

// Config is what a Service is made of.
type Config struct {
	Dir         string // made if it is missing
	Host        host.Host
	OpenJournal func(ctx context.Context, dir string) (store.Store, error)
	// Template finds the template that owner's batch asks for, "" for the default,
	// and the languages that it runs. CodeNotFound.
	Template func(ctx context.Context, owner, name string) (chosen string, languages []string, err error)

	// Hold counts a sandbox against owner's quota until release, and waits for room;
	// nil: there are no quotas.
	Hold func(ctx context.Context, owner string, l api.Limits) (release func(), err error)

	// What all tenants, and what each, may have. 0 means a default.
	MaxRunning, MaxRunningEach int   // batches at a time: 8 and 2
	MaxFileBytes               int64 // of one upload: 512 MiB
	MaxFilesBytes              int64 // of all uploads of a tenant: 8 GiB
	MaxFiles, MaxBatches       int   // that a tenant keeps: 1000 and 1000
	MaxUploads                 int   // of a tenant at a time: 8
	MaxResultBytes             int64 // of one batch, artifacts included: 16 GiB
	MaxResultsBytes            int64 // of all batches of a tenant, when another begins: 64 GiB
	Log                        *slog.Logger
}

func (c Config) withDefaults() Config {
	fill := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	fill(&c.MaxRunning, 8)
	fill(&c.MaxRunningEach, 2)
	fill(&c.MaxFiles, 1000)
	fill(&c.MaxBatches, 1000)
	fill(&c.MaxUploads, 8)
	size := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	size(&c.MaxFileBytes, 512<<20)
	size(&c.MaxFilesBytes, 8<<30)
	size(&c.MaxResultBytes, 16<<30)
	size(&c.MaxResultsBytes, 64<<30)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Service is the batches of one data directory. All methods may be called
// concurrently. It must be closed.
type Service struct {
	cfg   Config
	queue *fair.Queue

	ctx  context.Context // ends with Close
	stop context.CancelCauseFunc

	mu   sync.Mutex
	live map[string]*job // that this process has in hand, by id
	// uploads counts those under way, by owner.
	uploads map[string]int
}

// Open takes up the batches that a server left unfinished.
func Open(cfg Config) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, durable.DiskError("open the batches", err)
	}
	s := &Service{cfg: cfg, queue: fair.New(cfg.MaxRunning, cfg.MaxRunningEach), live: map[string]*job{}, uploads: map[string]int{}}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	tenants, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, durable.DiskError("open the batches", err)
	}
	for _, t := range tenants {
		s.resume(filepath.Join(cfg.Dir, t.Name()))
	}
	return s, nil
}

// errClosing ends batches so that the next server goes on with them.
var errClosing = errors.New("the server ends")

// Close stops the batches that run, resumably, and waits for them.
func (s *Service) Close() error {
	s.stop(errClosing)
	s.queue.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.live { // they never had their turn
		j.release()
	}
	clear(s.live)
	return nil
}

// Working tells whether anything is under way or waits for its turn.
func (s *Service) Working() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live) > 0
}

// resume takes up a tenant's batches.
func (s *Service) resume(tenant string) {
	dropPartial(filepath.Join(tenant, "files"))
	dropPartial(filepath.Join(tenant, "batches"))
	for _, id := range durable.IDs(filepath.Join(tenant, "batches"), batchPrefix) {
		var r record
		dir := filepath.Join(tenant, "batches", id)
		if err := durable.ReadJSON(filepath.Join(dir, recordName), &r); err != nil {
			s.cfg.Log.Warn("a batch cannot be read and is left alone", "batch", id, "error", err)
			continue
		}
		if r.Batch.Final() {
			continue
		}
		j, err := s.take(dir, r)
		if err != nil {
			s.cfg.Log.Info("a batch is another server's", "batch", id, "error", err)
			continue
		}
		s.start(j)
	}
}

// dropPartial removes what a dead process was about to make. What is young may be
// of one that lives.
func dropPartial(dir string) {
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil {
		return
	}
	for _, name := range left {
		if st, err := os.Stat(name); err == nil && time.Since(st.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(name) // it is tried again at the next start
		}
	}
}

// tenantDir is where an owner's things are. Owners' names are not names of files.
func (s *Service) tenantDir(owner, what string) string {
	return filepath.Join(s.cfg.Dir, durable.FileName(owner), what)
}

// The ids say what they name, as OpenAI's do.
const (
	filePrefix   = "file-"
	batchPrefix  = "batch_"
	outputPrefix = "file-out-" // and the batch's own part of its id
	errorPrefix  = "file-err-"
)

func unixNow() int64 { return time.Now().Unix() }
