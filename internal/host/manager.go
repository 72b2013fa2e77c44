package host

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// errClosed is why operations end when the Manager is closed.
var errClosed = errors.New("Brig is shutting down")

// Manager is a Host over drivers: it runs all sandboxes of one Brig process.
type Manager struct {
	cfg     Config
	log     *slog.Logger
	own     *owner
	journal journal
	probers map[string]*prober // by driver name
	room    *admission
	// starts is held while a box boots or is restored, which is pure computing:
	// more of it at once than there are cores makes all of them late. Ending a
	// box does not take a turn: it is short, there are no more of them than
	// sandboxes, and a kill must never wait behind a start.
	starts *semaphore.Weighted
	pool   *pool

	ctx  context.Context // ends with Close
	stop context.CancelCauseFunc
	ops  sync.WaitGroup // Creates and foreign records under way
	work sync.WaitGroup // goroutines of sandboxes and of the pool

	mu     sync.Mutex
	closed bool
	boxes  map[string]*sandbox // those that were handed out and exist
}

var _ Host = (*Manager)(nil)

// NewManager first removes what dead Brig processes left on this host, then
// takes its place in the state directory. It must be closed.
func NewManager(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	m := &Manager{
		cfg: cfg, log: cfg.Log, ctx: ctx, stop: stop,
		probers: map[string]*prober{},
		starts:  semaphore.NewWeighted(int64(cfg.MaxStarts)),
		boxes:   map[string]*sandbox{},
	}
	for _, d := range cfg.Drivers {
		m.probers[d.Name()] = newProber(d)
	}
	// Leftovers that can't be removed are no reason not to work beside them.
	if _, err := recoverDead(ctx, cfg.StateDir, cfg.Drivers, nil, false, cfg.Log); err != nil {
		m.log.Warn("cannot look for what dead processes left", "error", err)
	}
	if m.own, err = register(cfg.StateDir); err != nil {
		stop(errClosed)
		return nil, err
	}
	m.journal = m.own.journal()
	m.pool = newPool(m, cfg.PoolSize)
	m.room = newAdmission(cfg.budget(), m.pool.spare)
	m.work.Go(func() { m.pool.run(ctx) })
	return m, nil
}

// begin lets an operation in unless the Manager is closed. The context that it
// gives ends with the Manager too.
func (m *Manager) begin(ctx context.Context) (context.Context, func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, nil, api.Errorf(api.CodeUnavailable, "cannot make a sandbox: because %w", errClosed).WithFix("start Brig again")
	}
	m.ops.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unlink := context.AfterFunc(m.ctx, func() { cancel(errClosed) })
	return ctx, func() {
		unlink()
		cancel(nil)
		m.ops.Done()
	}, nil
}

// List describes the sandboxes of this process, the oldest first. Pooled ones
// that nobody has taken yet are not among them.
func (m *Manager) List() []api.SandboxInfo {
	list := []api.SandboxInfo{}
	for _, s := range m.sandboxes() {
		list = append(list, s.Info())
	}
	slices.SortFunc(list, func(a, b api.SandboxInfo) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list
}

func (m *Manager) sandboxes() []*sandbox {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*sandbox, 0, len(m.boxes))
	for _, s := range m.boxes {
		list = append(list, s)
	}
	return list
}

// keep makes s one of the Manager's sandboxes until it is gone.
func (m *Manager) keep(s *sandbox) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boxes[s.id] == nil {
		m.boxes[s.id] = s
		m.work.Go(s.live)
	}
}

func (m *Manager) forget(s *sandbox) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.boxes, s.id)
}

// Close cancels what waits, destroys every sandbox and waits for all goroutines.
// It does its work even when ctx has ended: each step has a deadline of its own.
// An error says that something is left; the next Brig process or brig gc tries
// again. Idempotent.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	again := m.closed
	m.closed = true
	m.mu.Unlock()
	m.stop(errClosed)
	m.ops.Wait() // from here on no sandbox is added
	var g errgroup.Group
	for _, s := range m.sandboxes() {
		g.Go(func() error { return s.end(ctx, stopDestroyed) })
	}
	err := g.Wait()
	m.work.Wait()
	if again {
		return err
	}
	if failed := m.own.remove(); err == nil && failed != nil {
		err = api.Errorf(api.CodeInternal, "cannot leave the state directory clean: because %w", failed).
			WithFix("run brig gc")
	}
	return err
}

// JournalBox records a box that somebody else in this process is about to make,
// such as a bake, so that it is found should the process die. done takes the
// record back when nothing of the box is left.
func (m *Manager) JournalBox(h driver.Handle) (done func(), err error) {
	_, end, err := m.begin(context.Background())
	if err != nil {
		return nil, err
	}
	info := api.SandboxInfo{ID: h.ID, State: stateCreating, Driver: h.Driver, CreatedAt: time.Now(), OwnerPID: os.Getpid()}
	if err := m.journal.write(record{Info: info, Handle: h}); err != nil {
		_ = m.journal.remove(h.ID) // what was begun of it
		end()
		return nil, err
	}
	return func() {
		defer end()
		if err := m.journal.remove(h.ID); err != nil {
			m.log.Warn("a record of a box that is gone stays", "id", h.ID, "error", err)
		}
	}, nil
}

// driverFor chooses the driver for a request.
func (m *Manager) driverFor(ctx context.Context, r rungRequest) (driver.Driver, error) {
	r.AllowUnsafe = m.cfg.AllowUnsafe
	all := make([]candidate, len(m.cfg.Drivers))
	for i, d := range m.cfg.Drivers {
		all[i] = candidate{Driver: d.Name(), Rung: d.Rung()}
	}
	list, err := eligible(r, all)
	if err != nil {
		return nil, err
	}
	// With one candidate a probe decides nothing: making the box will tell.
	chosen := list[0]
	if len(list) > 1 {
		chosen, err = strongest(r, list, func(c candidate) (driver.Probe, error) {
			return m.probers[c.Driver].probe(ctx)
		})
	}
	if err != nil {
		return nil, err
	}
	return m.probers[chosen.Driver].drv, nil
}
