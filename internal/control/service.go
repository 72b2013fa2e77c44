// Package control runs the long-lived sandboxes of a service: who owns them, what
// runs in them, when they end, and what is remembered of them afterwards. A
// Service is over one host; the owner of a sandbox is checked here and nowhere
// else: for everybody else it does not exist.
package control

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/snapshot"
)

// Config is what a Service is made of.
type Config struct {
	Host      host.Host
	Snapshots *snapshot.Store // nil: there are no snapshots, forks and hibernation
	// SnapshotKey is what a driver's restores depend on here; "" for one that has
	// none.
	SnapshotKey func(driver string) string
	Kernels     Kernels // nil: there are no code cells
	// Dir keeps records, events and logs of sandboxes. It is made if need be, and
	// belongs to one Service at a time.
	Dir string
	// CreateWithin bounds the wait for room on the host, and the making, of one
	// sandbox; default 25 s: published clients hang up after 30, and try again after a 429.
	CreateWithin time.Duration
	// Quota says what the running sandboxes of an owner may hold; nil: no bounds. Who
	// wants more waits for CreateWithin.
	Quota func(owner string) Quota
	// MayUse tells whether there is a template of that name for owner; nil: all are
	// everybody's.
	MayUse func(owner, template string) bool
	Audit  *audit.Log   // nil: nothing is recorded
	Log    *slog.Logger // default: none
}

// Kernels opens interpreter sessions in sandboxes.
type Kernels interface {
	Open(ctx context.Context, box host.Session, language, cwd string) (Kernel, error)
	// Resume takes up one that ran in the snapshot that box was restored from.
	Resume(ctx context.Context, box host.Session, ref api.KernelRef, to Setting) (Kernel, error)
}

// Kernel is one interpreter session. All methods may be called concurrently; cells
// run one at a time.
type Kernel interface {
	Ref() api.KernelRef
	// Run runs one cell; on is told what the cell says while it runs.
	Run(ctx context.Context, c Cell, on func(api.CodeEvent)) (api.CodeExecution, error)
	Restart(ctx context.Context) error
	Close(ctx context.Context) error
}

// Setting is what a kernel that is taken up has to learn of its sandbox.
type Setting struct {
	Cwd string            // where it goes; "" leaves it where it is
	Env map[string]string // the sandbox's own
}

// Cell is one piece of code to run.
type Cell struct {
	Code    string
	Env     map[string]string // of this cell alone
	Timeout time.Duration
}

// Bounds of a Service.
const (
	maxEnded    = 500 // sandboxes that are remembered after their end
	maxChildren = 64
	maxName     = 100
	maxMetadata = 64 // entries
	maxMetaText = 4096
	closeWithin = 30 * time.Second
)

// Service is the sandboxes of one host. It must be closed.
type Service struct {
	cfg     Config
	log     *slog.Logger
	journal journal
	audits  chan api.EgressEvent
	quotas  *quotas
	forks   chan struct{} // holds a token for each restore of a fork under way
	work    sync.WaitGroup

	outputFiles atomic.Int32 // of processes

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu      sync.Mutex
	boxes   map[string]*Sandbox       // living and remembered, by id
	pending map[string]*pendingCreate // creates under way, by owner and idempotency key
	closed  bool
}

// New takes up what an earlier Service left in cfg.Dir: hibernated sandboxes go on
// being hibernated, all others ended with their server.
func New(cfg Config) (*Service, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.CreateWithin == 0 {
		cfg.CreateWithin = 25 * time.Second
	}
	j, err := openJournal(cfg.Dir)
	if err != nil {
		return nil, err
	}
	records, err := j.load()
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, log: cfg.Log, journal: j, audits: make(chan api.EgressEvent, 256), forks: make(chan struct{}, runtime.NumCPU()),
		boxes: map[string]*Sandbox{}, pending: map[string]*pendingCreate{},
	}
	s.quotas = newQuotas(cfg.Quota)
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, r := range records {
		s.adopt(r)
	}
	s.dropOld()
	s.removeForgotten(s.ctx)
	s.work.Go(s.recordAudits)
	if cfg.Snapshots != nil {
		s.work.Go(s.collect)
	}
	return s, nil
}

// adopt takes up one record of an earlier Service.
func (s *Service) adopt(r record) {
	sb := s.newSandbox(r)
	s.boxes[r.ID] = sb
	switch {
	case r.Status == api.StatusHibernated:
		sb.sleep(r.HibernatedIn)
	case r.living():
		sb.setEnded(api.StatusFailed, api.Ended{Reason: "server restarted", Detail: "the server that held it ended, and its sandboxes with it", At: time.Now()})
	}
}

// removeForgotten removes snapshots that sandboxes slept in which are no more.
func (s *Service) removeForgotten(ctx context.Context) {
	if s.cfg.Snapshots == nil {
		return
	}
	list, err := s.cfg.Snapshots.List(ctx, snapshot.Filter{})
	if err != nil {
		s.log.Warn("cannot look for snapshots that were left", "error", err)
	}
	for _, m := range list {
		if s.journal.owns(m) && !s.hibernatesIn(m.ID) {
			s.removeSleep(ctx, m)
		}
	}
}

// hibernatesIn tells whether a sandbox sleeps in a snapshot.
func (s *Service) hibernatesIn(id string) bool {
	return slices.ContainsFunc(s.all(), func(sb *Sandbox) bool {
		r := sb.record()
		return r.Status == api.StatusHibernated && r.HibernatedIn == id
	})
}

// collect removes snapshots whose time is over, once a minute.
func (s *Service) collect() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-tick.C:
			if _, err := s.cfg.Snapshots.GC(s.ctx, now); err != nil {
				s.log.Warn("cannot remove snapshots that have expired", "error", err)
			}
		}
	}
}

func (s *Service) all() []*Sandbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Sandbox, 0, len(s.boxes))
	for _, sb := range s.boxes {
		list = append(list, sb)
	}
	return list
}

// Find gives owner's sandbox, living or ended, by its id or, when only one living
// sandbox has it, by its name. CodeNotFound; CodeConflict when several have it.
func (s *Service) Find(owner, id string) (*Sandbox, error) {
	s.mu.Lock()
	sb := s.boxes[id]
	s.mu.Unlock()
	if sb != nil && sb.owner == owner {
		return sb, nil
	}
	var named []*Sandbox
	for _, sb := range s.all() {
		if r := sb.record(); r.Owner == owner && r.Name == id && r.living() {
			named = append(named, sb)
		}
	}
	if len(named) == 1 && id != "" {
		return named[0], nil
	}
	if len(named) > 1 && id != "" {
		return nil, api.Errorf(api.CodeConflict, "cannot tell which sandbox is meant by %.80q: because %d have that name", id, len(named)).
			WithFix("use the id, which 'brig sandbox ls' prints")
	}
	return nil, api.Errorf(api.CodeNotFound, "cannot find sandbox %.80q: because there is none", id).
		WithFix("list them with 'brig sandbox ls'")
}

// List describes owner's sandboxes, the newest first; those that have ended are
// among them only if asked for.
func (s *Service) List(owner string, ended bool) []api.Sandbox {
	list := []api.Sandbox{}
	for _, sb := range s.all() {
		if r := sb.record(); r.Owner == owner && (ended || r.living()) {
			list = append(list, r.Sandbox)
		}
	}
	slices.SortFunc(list, func(a, b api.Sandbox) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list
}

// Living counts the sandboxes of all owners that use this host now.
func (s *Service) Living() int {
	n := 0
	for _, sb := range s.all() {
		if r := sb.record(); r.living() && r.Status != api.StatusHibernated {
			n++
		}
	}
	return n
}

// Close destroys every sandbox that is not hibernated and waits for all that the
// Service started. Their records say that the server ended.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	var wait sync.WaitGroup
	for _, sb := range s.all() {
		wait.Go(func() { sb.shutDown(ctx) })
	}
	wait.Wait()
	s.stop()
	s.work.Wait()
	return nil
}

var _ io.Closer = (*Service)(nil)

// dropOld forgets the sandboxes that ended longest ago, beyond maxEnded.
func (s *Service) dropOld() {
	var ended []record
	for _, sb := range s.all() {
		if r := sb.record(); !r.living() {
			ended = append(ended, r)
		}
	}
	if len(ended) <= maxEnded {
		return
	}
	slices.SortFunc(ended, func(a, b record) int { return b.Ended.At.Compare(a.Ended.At) })
	for _, r := range ended[maxEnded:] {
		s.mu.Lock()
		delete(s.boxes, r.ID)
		s.mu.Unlock()
		s.journal.forget(r.ID)
	}
}

// DirIn is where a Service keeps its things below a state directory.
func DirIn(stateDir string) string { return filepath.Join(stateDir, "sandboxes") }
