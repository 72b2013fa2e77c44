// Package builds makes templates for tenants, as a service: what is uploaded is
// kept, the build has its turn, its log can be followed, and a server that was
// killed goes on with it at its next start. It also knows whose a template is.
//
// Below Config.Dir:
//
//	owners/NAME.json     the tenant that the template NAME belongs to
//	TENANT/ID/build.json a build's record; TENANT is a hash of the owner's name
//	TENANT/ID/log.jsonl  what happened, an event a line
//	TENANT/ID/lock       held by the server that runs it
//	TENANT/ID/context/   what the Dockerfile may copy, until the build has ended
//	TENANT/ID/rootfs     or the root filesystem
package builds

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
	"github.com/brigdev/brig/internal/fair"
	"github.com/brigdev/brig/internal/template"
)

// Config is what a Service is made of.
type Config struct {
	Dir       string // made if it is missing
	Templates Templates
	// Drivers and limits of the sandboxes of a build, and what bakes a template.
	Options template.BuildOptions
	Bake    func(ctx context.Context, t template.Template, progress func(line string)) error
	// Local is the owner of this machine, who may change every template.
	Local string

	MaxRunning  int   // builds at a time, one of each tenant; default 1
	MaxKept     int   // builds that are remembered of a tenant; default 100
	MaxWaiting  int   // builds of a tenant that are sent, wait or run; default 8
	MaxUpload   int64 // bytes of one build's files; default 4 GiB
	MaxContexts int   // files of one build; default 10000
	Log         *slog.Logger
}

// Templates is the catalogue, as far as a Service needs it.
type Templates interface {
	Build(ctx context.Context, name string, o template.BuildOptions, progress func(string)) (template.Template, error)
	Remove(ctx context.Context, name string) error
	List(ctx context.Context) ([]template.Info, error)
}

// buildWithin bounds one build.
const buildWithin = 2 * time.Hour

// maxAttempts is how often a build begins that does not end because its server is
// killed: it may be why.
const maxAttempts = 3

// Service is the builds of one data directory. All methods may be called
// concurrently. It must be closed.
type Service struct {
	cfg   Config
	queue *fair.Queue

	ctx  context.Context // ends with Close
	stop context.CancelCauseFunc

	names sync.Mutex // held while it is decided whose a name is
	mu    sync.Mutex
	live  map[string]*build // that this process has in hand, by id
	// uploads counts those under way, by owner.
	uploads map[string]int
}

// errClosing ends builds so that the next server goes on with them.
var errClosing = errors.New("the server ends")

func errCancelled() error {
	return api.Errorf(api.CodeCancelled, "cannot go on building: because the build was deleted")
}

func errTooLong() error {
	return api.Errorf(api.CodeExhausted, "cannot go on building: because it takes longer than %s", buildWithin).
		WithFix("do less in one build: what was finished is in the cache")
}

// Open takes up the builds that a server left unfinished.
func Open(cfg Config) (*Service, error) {
	if cfg.MaxRunning == 0 {
		cfg.MaxRunning = 1
	}
	if cfg.MaxKept == 0 {
		cfg.MaxKept = 100
	}
	if cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = 8
	}
	if cfg.MaxUpload == 0 {
		cfg.MaxUpload = 4 << 30
	}
	if cfg.MaxContexts == 0 {
		cfg.MaxContexts = 10_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "owners"), 0o700); err != nil {
		return nil, durable.DiskError("open the builds", err)
	}
	s := &Service{cfg: cfg, queue: fair.New(cfg.MaxRunning, 1), live: map[string]*build{}, uploads: map[string]int{}}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	tenants, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, durable.DiskError("open the builds", err)
	}
	for _, t := range tenants {
		s.resume(filepath.Join(cfg.Dir, t.Name()))
	}
	return s, nil
}

// Close stops the builds, so that the next server goes on with them, and waits.
func (s *Service) Close() error {
	s.stop(errClosing)
	s.queue.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.live { // they never had their turn
		b.release()
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

// resume takes up a tenant's builds.
func (s *Service) resume(tenant string) {
	for _, id := range durable.IDs(tenant, prefix) {
		var r record
		dir := filepath.Join(tenant, id)
		if err := durable.ReadJSON(filepath.Join(dir, recordName), &r); err != nil || r.Build.Final() {
			dropUpload(dir, err)
			continue
		}
		b, err := s.take(dir, r)
		if err != nil {
			s.cfg.Log.Info("a build is another server's", "build", id, "error", err)
			continue
		}
		s.start(b)
	}
}

// dropUpload removes an upload that has no record, once it cannot be one that
// another server is receiving.
func dropUpload(dir string, err error) {
	if !errors.Is(err, os.ErrNotExist) {
		return
	}
	if st, err := os.Stat(dir); err == nil && time.Since(st.ModTime()) > 24*time.Hour {
		_ = os.RemoveAll(dir) // it is tried again at the next start
	}
}

// record is build.json.
type record struct {
	Owner    string    `json:"owner"`
	Build    api.Build `json:"build"`
	Attempts int       `json:"attempts"` // that were begun
}

const (
	recordName = "build.json"
	logName    = "log.jsonl"
	prefix     = "build-"
)

// tenantDir is where an owner's builds are. Owners' names are not names of files.
func (s *Service) tenantDir(owner string) string {
	return filepath.Join(s.cfg.Dir, durable.FileName(owner))
}

// find reads owner's build. CodeNotFound.
func (s *Service) find(owner, id string) (record, string, error) {
	var r record
	dir := filepath.Join(s.tenantDir(owner), id)
	if !durable.IsID(id, prefix) || durable.ReadJSON(filepath.Join(dir, recordName), &r) != nil || r.Owner != owner {
		return r, "", api.Errorf(api.CodeNotFound, "cannot find build %.80q: because there is none", id).WithFix("list them with GET /v1/templates/builds")
	}
	return r, dir, nil
}

// Get describes owner's build. CodeNotFound.
func (s *Service) Get(owner, id string) (api.Build, error) {
	r, _, err := s.find(owner, id)
	return r.Build, err
}

// List describes owner's builds, the newest first; name "" means of all templates.
func (s *Service) List(owner, name string) []api.Build {
	list := []api.Build{}
	for _, id := range durable.IDs(s.tenantDir(owner), prefix) {
		if b, err := s.Get(owner, id); err == nil && (name == "" || b.Name == name) {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b api.Build) int { return b.StartedAt.Compare(a.StartedAt) })
	return list
}

// Remove forgets a build, and ends it first if need be; a template that it made
// stays. CodeNotFound; CodeConflict when another server runs it.
func (s *Service) Remove(owner, id string) error {
	r, dir, err := s.find(owner, id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	b := s.live[id]
	s.mu.Unlock()
	switch {
	case b != nil:
		b.cancel()
		<-b.done
	case !r.Build.Final():
		return api.Errorf(api.CodeConflict, "cannot delete the build: because another server runs it").WithFix("ask that server")
	}
	if err := os.RemoveAll(dir); err != nil {
		return durable.DiskError("delete the build", err)
	}
	return nil
}
