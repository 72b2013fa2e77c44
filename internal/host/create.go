package host

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
	"github.com/brigdev/brig/internal/netpolicy"
	"github.com/brigdev/brig/internal/template"
)

// plan is a checked request, with everything decided and nothing made.
type plan struct {
	spec     api.SandboxSpec // with defaults
	template template.Template
	driver   driver.Driver
	snapshot string // the kind to restore, or "" for a cold boot
	need     demand
	egress   *netpolicy.Policy // nil: no network
}

// Create waits for admission, makes a sandbox and confirms that its guest
// answers.
func (m *Manager) Create(ctx context.Context, spec api.SandboxSpec) (Sandbox, error) {
	ctx, done, err := m.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	p, err := m.plan(ctx, spec)
	if err != nil {
		return nil, err
	}
	s := m.pool.claim(ctx, p)
	if s == nil {
		if s, err = m.build(ctx, p); err != nil {
			return nil, err
		}
	}
	if spec.Session {
		return newSession(s), nil
	}
	return s, nil
}

// plan fills the defaults and finds the template and the driver: what is wrong
// with a request is said before it waits for its turn.
func (m *Manager) plan(ctx context.Context, spec api.SandboxSpec) (plan, error) {
	spec, err := withDefaults(spec)
	if err != nil {
		return plan{}, err
	}
	t, err := m.cfg.Templates.Resolve(ctx, spec.Template)
	if err != nil {
		return plan{}, err
	}
	d, err := m.driverFor(ctx, rungRequest{Want: spec.Isolation, Floor: spec.Floor})
	if err != nil {
		return plan{}, err
	}
	policy, err := policyOf(spec.Egress)
	if err != nil {
		return plan{}, err
	}
	p := plan{spec: spec, template: t, driver: d, need: demandOfSpec(spec), egress: policy}
	if spec.Session && len(t.Kernels) > 0 {
		p.snapshot = snapshotCode
		return p, nil
	}
	if spec.Warm == "" {
		return p, nil
	}
	language, ok := t.Languages[spec.Warm]
	switch {
	case !ok:
		return plan{}, noLanguage(t, spec.Warm)
	case language.Warm && (spec.Reuse || spec.Session):
		p.snapshot = snapshotSession
	case language.Warm:
		p.snapshot = snapshotOneshot
	}
	return p, nil
}

func withDefaults(spec api.SandboxSpec) (api.SandboxSpec, error) {
	spec.Limits = spec.Limits.WithDefaults()
	if err := spec.Limits.Validate(); err != nil {
		return spec, err
	}
	if spec.Template == "" {
		return spec, api.Errorf(api.CodeInvalid, "cannot make a sandbox: because no template is named").WithFix("use --template host")
	}
	if spec.Snapshot != "" && !spec.Session {
		return spec, api.Errorf(api.CodeInvalid, "cannot restore a snapshot: because only sessions are made from one").WithFix("ask for a session")
	}
	if err := checkEnv(spec.Env); err != nil {
		return spec, err
	}
	ttl, longest := spec.Limits.Timeout+ttlGrace, maxTTL
	if spec.Session {
		ttl, longest = sessionTTL, maxSessionTTL
	}
	if spec.TTL == 0 {
		spec.TTL = ttl
	}
	if spec.TTL < time.Millisecond || spec.TTL > longest {
		return spec, api.Errorf(api.CodeInvalid, "cannot use a ttl of %s: because the range is 1ms to %s", spec.TTL, longest).WithFix("leave it out, or use 1h")
	}
	if spec.Hostname == "" && !spec.Session { // a session's is its id
		spec.Hostname = "sandbox"
	}
	if len(spec.Hostname) > 63 || strings.Trim(spec.Hostname, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return spec, api.Errorf(api.CodeInvalid, "cannot use the hostname %q: because it is not made of up to 63 of a-z, 0-9 and -", spec.Hostname).WithFix("use a name like worker-1")
	}
	return spec, nil
}

func noLanguage(t template.Template, language string) error {
	names := slices.Sorted(maps.Keys(t.Languages))
	if len(names) == 0 {
		return api.Errorf(api.CodeInvalid, "cannot run %q: because template %s has no language that Brig knows", language, t.Name).
			WithFix("use another template, or start a program of it after --")
	}
	return api.Errorf(api.CodeInvalid, "cannot run %q: because template %s has no such language", language, t.Name).
		WithFix("use another template, or one of its languages: %s", strings.Join(names, ", "))
}

// build makes a sandbox for the caller of Create.
func (m *Manager) build(ctx context.Context, p plan) (*sandbox, error) {
	g, err := m.room.acquire(ctx, p.spec.Trust, p.need)
	if err != nil {
		return nil, err
	}
	dir, err := m.snapshotDir(ctx, p)
	if err != nil {
		g.release()
		return nil, err
	}
	s, err := m.start(ctx, p, dir, g)
	if err != nil {
		return nil, err
	}
	if err := m.handOut(s, p); err != nil {
		s.discard(ctx)
		return nil, err
	}
	return s, nil
}

// snapshotDir finds what to restore, which may mean to bake it first; "" is a
// cold boot.
func (m *Manager) snapshotDir(ctx context.Context, p plan) (string, error) {
	if p.spec.Snapshot != "" || p.snapshot == "" {
		return p.spec.Snapshot, nil
	}
	return m.cfg.Templates.Snapshot(ctx, p.template, p.driver, p.snapshot, p.spec.Limits)
}

// start takes its turn among the starts, boots and greets.
func (m *Manager) start(ctx context.Context, p plan, dir string, g *grant) (*sandbox, error) {
	if m.starts.Acquire(ctx, 1) != nil {
		g.release()
		return nil, cancelled(ctx, "wait for the start of the sandbox")
	}
	defer m.pool.wake() // the turn is free, and so may be room
	defer m.starts.Release(1)
	s, err := m.boot(ctx, p, dir, g, false)
	if err != nil {
		return nil, err
	}
	err = s.greet(ctx, startTimeout)
	if err == nil {
		err = s.nameServer(ctx)
	}
	if err != nil {
		s.discard(ctx)
		return nil, err
	}
	return s, nil
}

// boot makes a box, journalled before it exists, and owns the grant from here
// on. The box has not been greeted. The caller holds a turn among the starts.
func (m *Manager) boot(ctx context.Context, p plan, dir string, g *grant, pooled bool) (*sandbox, error) {
	s := m.newSandbox(p, g, dir != "", pooled)
	if p.spec.Snapshot == "" {
		s.info.Kernels = template.Kernels(dir)
	}
	if err := m.journal.write(s.record()); err != nil {
		_ = m.journal.remove(s.id) // what was begun of it
		g.release()
		return nil, err
	}
	link, err := s.openGateway(p.egress)
	if err != nil {
		s.discard(ctx)
		return nil, err
	}
	if link != nil {
		defer link.File.Close()
	}
	within, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	box, err := p.driver.Create(within, driver.BoxSpec{
		ID: s.id, Hostname: s.hostname, Root: p.template.Root, Snapshot: dir, Link: link,
		Limits: p.spec.Limits, Agent: p.template.Agent, Attached: true, Background: pooled,
	})
	if err != nil {
		s.discard(ctx)
		return nil, m.explain(ctx, p, err)
	}
	s.setBox(box)
	m.probers[p.driver.Name()].worked.Store(true)
	return s, nil
}

// explain turns a driver's failure into what the user can act on: as long as the
// driver never worked, it is asked whether it can work here at all.
func (m *Manager) explain(ctx context.Context, p plan, err error) error {
	if ctx.Err() != nil {
		return cancelled(ctx, "make the sandbox")
	}
	switch api.CodeOf(err) {
	case api.CodeCancelled: // by our own deadline
		return api.Errorf(api.CodeInternal, "cannot make the sandbox: because it did not start within %s: %w", startTimeout, err)
	case api.CodeInternal:
	default:
		return err
	}
	if prober := m.probers[p.driver.Name()]; !prober.worked.Load() {
		report, probeErr := prober.probe(ctx)
		if probeErr == nil && !report.OK {
			m.log.Debug("the driver does not work here", "driver", p.driver.Name(), "error", err)
			c := candidate{Driver: p.driver.Name(), Rung: p.driver.Rung()}
			return cannotRun(rungRequest{Want: string(c.Rung)}, []candidate{c}, []driver.Probe{report})
		}
	}
	return api.Errorf(api.CodeInternal, "cannot make the sandbox: because %w", err)
}

// handOut makes a greeted sandbox the caller's: its time runs from now.
func (m *Manager) handOut(s *sandbox, p plan) error {
	s.mu.Lock()
	s.info.State = stateRunning
	s.info.CreatedAt = time.Now()
	s.info.Deadline = s.info.CreatedAt.Add(p.spec.TTL)
	// A pooled box was made for somebody else, maybe under another name of its template.
	s.info.Template, s.info.Name, s.info.Metadata = p.template.Name, p.spec.Name, maps.Clone(p.spec.Metadata)
	s.template = p.template
	if s.session { // its programs may run at the same time, so none has the warm interpreter
		s.env = maps.Clone(p.spec.Env)
	}
	s.mu.Unlock()
	if err := m.journal.write(s.record()); err != nil {
		return err
	}
	m.keep(s)
	return nil
}

func (m *Manager) newSandbox(p plan, g *grant, restored, pooled bool) *sandbox {
	s := &sandbox{
		m: m, id: newID(m.cfg.StateDir), driver: p.driver, template: p.template, room: g,
		reuse: p.spec.Reuse, session: p.spec.Session, hostname: p.spec.Hostname, limits: p.spec.Limits,
		gone: make(chan struct{}), nudge: make(chan struct{}, 1), moved: make(chan struct{}, 1), busy: make(chan struct{}, 1),
	}
	if restored && !s.session {
		s.warm = p.spec.Warm
	}
	if s.hostname == "" {
		s.hostname = s.id
	}
	s.handle = driver.Handle{Driver: p.driver.Name(), ID: s.id}
	s.info = api.SandboxInfo{
		ID: s.id, State: stateCreating, Template: p.template.Name, Digest: p.template.Digest,
		Isolation: p.driver.Rung(), Driver: p.driver.Name(), Limits: p.spec.Limits,
		CreatedAt: time.Now(), OwnerPID: os.Getpid(), Restored: restored, Pooled: pooled, Session: s.session,
	}
	return s
}

// newID makes an id that no other sandbox has had: the state directory's prefix
// and 65 random bits.
func newID(stateDir string) string {
	return idPrefix(stateDir) + strings.ToLower(rand.Text()[:13])
}

// newMachineID is 32 hex digits, as in /etc/machine-id.
func newMachineID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// greet gives the guest its own randomness and the time, which a restored one
// has from its snapshot, and waits for its answer. A session gets its own names,
// too; a sandbox for one program has no use for them and does not pay for them.
func (s *sandbox) greet(ctx context.Context, patience time.Duration) error {
	within, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it did not answer within %s", patience))
	defer cancel()
	var seed [64]byte
	rand.Read(seed[:]) // never fails
	var id guest.Identity
	if s.session {
		id = guest.Identity{Hostname: s.hostname, MachineID: newMachineID()}
	}
	client, err := guest.Start(within, s.box.Channel(), seed, time.Now(), id)
	if err == nil {
		s.client = client
		return nil
	}
	if ctx.Err() != nil {
		return cancelled(ctx, "wait for the guest")
	}
	if api.CodeOf(err) == api.CodeUnavailable {
		return err
	}
	death, died := s.awaitDeath()
	switch {
	case died && death.OOM:
		return api.Errorf(api.CodeInvalid, "cannot start the sandbox: because %s of memory is too little for template %s", api.FormatBytes(s.limits.MemoryBytes), s.template.Name).
			WithFix("give it more with --memory")
	case died:
		return api.Errorf(api.CodeInternal, "cannot start the sandbox: because its box died (%s): %w", detailOf(death), err)
	}
	return api.Errorf(api.CodeInternal, "cannot start the sandbox: because %w", err)
}
