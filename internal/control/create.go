package control

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/host"
)

const (
	defaultTTL = time.Hour
	maxTTL     = 7 * 24 * time.Hour // the host's
)

// birth is a checked request for one sandbox, from a template or a snapshot.
type birth struct {
	rec  record
	spec api.SandboxSpec
	// from is the snapshot to restore, or nil; dir is where its files are.
	from *api.Snapshot
	dir  string
}

func (s *Service) create(ctx context.Context, owner string, req api.CreateRequest, key, request string) (*Sandbox, error) {
	b, err := newBirth(owner, req)
	if err != nil {
		return nil, err
	}
	b.rec.IdempotencyKey, b.rec.Request = key, request
	if req.FromSnapshot == "" {
		if s.cfg.MayUse != nil && !s.cfg.MayUse(owner, req.Template) {
			return nil, api.Errorf(api.CodeNotFound, "cannot use the template %.80s: because it is not built", req.Template).WithFix("list templates with 'brig template ls'")
		}
		return s.bear(ctx, b)
	}
	snapshot, err := s.Snapshot(ctx, owner, req.FromSnapshot)
	if err != nil {
		return nil, err
	}
	dir, release, err := s.useSnapshot(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	defer release()
	b.restore(snapshot, dir, "snapshot")
	b.rec.FromSnapshot = snapshot.ID
	return s.bear(ctx, b)
}

// newBirth checks a request and fills its defaults.
func newBirth(owner string, req api.CreateRequest) (birth, error) {
	if err := checkWords(req.Name, req.Metadata); err != nil {
		return birth{}, err
	}
	ttl, err := ttlOf(req.TTLSeconds, req.Persistent)
	if err != nil {
		return birth{}, err
	}
	if req.IdleTimeoutSeconds < 0 || seconds(req.IdleTimeoutSeconds) > maxTTL {
		return birth{}, badTime("idle timeout", req.IdleTimeoutSeconds)
	}
	limits := api.Limits{
		MemoryBytes: req.Limits.MemoryBytes, CPUs: req.Limits.CPUs, PIDs: req.Limits.PIDs,
		DiskBytes: req.Limits.DiskBytes, OpenFiles: req.Limits.OpenFiles,
	}.WithDefaults()
	b := birth{
		spec: api.SandboxSpec{
			Template: req.Template, Isolation: req.Isolation, Floor: req.Floor, Limits: limits, TTL: ttl,
			Trust: owner, Session: true, Env: req.Env, Egress: req.Egress, Name: req.Name, Metadata: req.Metadata,
		},
	}
	b.rec = record{Owner: owner, Env: req.Env}
	b.rec.Name, b.rec.Metadata = req.Name, maps.Clone(req.Metadata)
	b.rec.Egress = req.Egress
	b.rec.IdleTimeoutSeconds, b.rec.Persistent = req.IdleTimeoutSeconds, req.Persistent
	return b, nil
}

func checkWords(name string, metadata map[string]string) error {
	size := 0
	for k, v := range metadata {
		size += len(k) + len(v)
	}
	switch {
	case len(name) > maxName || strings.ContainsAny(name, "\x00\n/:"):
		return api.Errorf(api.CodeInvalid, "cannot use the name %.40q: because it is longer than %d bytes or has a character that none may have", name, maxName).
			WithFix("use a short name without / : and line breaks")
	case len(metadata) > maxMetadata || size > maxMetaText:
		return api.Errorf(api.CodeInvalid, "cannot keep the metadata: because it is more than %d entries or %d bytes", maxMetadata, maxMetaText).
			WithFix("keep large values in a file inside the sandbox")
	}
	return nil
}

func ttlOf(s float64, persistent bool) (time.Duration, error) {
	switch {
	case s == 0 && persistent:
		return maxTTL, nil
	case s == 0:
		return defaultTTL, nil
	case s < 0.001 || seconds(s) > maxTTL:
		return 0, badTime("ttl", s)
	}
	return seconds(s), nil
}

func badTime(what string, s float64) error {
	return api.Errorf(api.CodeInvalid, "cannot use a %s of %s seconds: because the range is 0.001 to %g", what, strconv.FormatFloat(s, 'f', -1, 64), maxTTL.Seconds()).
		WithFix("use 3600")
}

// restore makes b come from a snapshot: template, limits and environment are its.
func (b *birth) restore(m api.Snapshot, dir, mode string) {
	b.from, b.dir = &m, dir
	b.rec.BootMode = mode
	b.spec.Snapshot, b.spec.Limits = dir, m.Limits
	env := maps.Clone(m.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, b.rec.Env)
	b.spec.Env, b.rec.Env = env, env
	if b.rec.Metadata == nil {
		b.rec.Metadata = maps.Clone(m.Metadata)
	}
}

// bear makes the sandbox, its kernels and its record.
func (s *Service) bear(ctx context.Context, b birth) (*Sandbox, error) {
	began := time.Now()
	box, err := s.makeBox(ctx, b)
	if err != nil {
		return nil, err
	}
	info := box.Info()
	r := b.rec
	r.ID, r.Box, r.Status = info.ID, info.ID, api.StatusRunning
	describe(&r, info, b.spec.Limits)
	if r.BootMode == "" {
		r.BootMode = map[bool]string{true: "template", false: "cold"}[info.Restored]
	}
	if b.from != nil {
		r.Template = b.from.Template
	}
	r.BootMS = time.Since(began).Milliseconds()
	r.TTLSeconds = b.spec.TTL.Seconds()
	sb := s.newSandbox(r)
	if err := s.keep(ctx, sb, box, b.from); err != nil {
		sb.cells.drop(ctx)
		destroy(ctx, box)
		return nil, err
	}
	audit.From(ctx).Made(r.Owner, r.ID)
	sb.event("created", "template", r.Template, "boot_mode", r.BootMode, "isolation", string(r.Isolation))
	return sb, nil
}

// describe copies what the host says of a box into its record.
func describe(r *record, info api.SandboxInfo, l api.Limits) {
	r.Template, r.Digest, r.Isolation, r.Driver = info.Template, info.Digest, info.Isolation, info.Driver
	r.CreatedAt, r.ExpiresAt = info.CreatedAt, info.Deadline
	r.CPU, r.MemoryMB, r.FullLimits = l.CPUs, l.MemoryBytes>>20, l
	r.Limits = api.Resources{MemoryBytes: l.MemoryBytes, CPUs: l.CPUs, PIDs: l.PIDs, DiskBytes: l.DiskBytes, OpenFiles: l.OpenFiles}
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
}

// keep takes up the kernels of a restored box, writes the record and only then
// lets others see the sandbox.
func (s *Service) keep(ctx context.Context, sb *Sandbox, box host.Session, from *api.Snapshot) error {
	if from == nil {
		sb.cells.warm = box.Info().Kernels
	} else if err := sb.resumeKernels(ctx, box, from.Kernels); err != nil {
		return err
	}
	if err := s.journal.save(sb.record()); err != nil {
		return err
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.boxes[sb.id] = sb
	}
	s.mu.Unlock()
	if closed {
		s.journal.forget(sb.id)
		return api.Errorf(api.CodeUnavailable, "cannot make a sandbox: because the server is ending").WithFix("try again in a moment")
	}
	if from != nil {
		sb.inherit(box, from.Programs)
	}
	sb.run(box)
	return nil
}

// makeBox has the host make a session, trying the templates that a request
// without one may mean.
func (s *Service) makeBox(ctx context.Context, b birth) (host.Session, error) {
	spec := b.spec
	names := templatesFor(spec.Template)
	if b.from != nil {
		names = []string{b.from.Digest, b.from.Template}
	}
	waiting, cancel := context.WithTimeout(ctx, s.cfg.CreateWithin)
	defer cancel()
	release, err := s.quotas.take(waiting, spec.Trust, host.MemoryHeld(spec.Limits))
	if err != nil {
		return nil, err
	}
	box, err := s.makeFirst(ctx, waiting, spec, names, b.from)
	if err != nil {
		release()
		return nil, err
	}
	s.holdFor(box, release)
	return box, nil
}

// makeFirst makes a session of the first template that exists; waiting is ctx with
// the deadline of the wait.
func (s *Service) makeFirst(ctx, waiting context.Context, spec api.SandboxSpec, names []string, from *api.Snapshot) (host.Session, error) {
	var err error
	for _, name := range names {
		if name == "" {
			continue
		}
		spec.Template = name
		var box host.Sandbox
		box, err = s.cfg.Host.Create(waiting, spec)
		if api.CodeOf(err) == api.CodeNotFound && err != nil {
			continue
		}
		if err != nil && waiting.Err() != nil && ctx.Err() == nil {
			return nil, errFull(s.cfg.CreateWithin)
		}
		if err != nil {
			return nil, err
		}
		return checkBox(ctx, box, from)
	}
	return nil, err
}

// errFull is for who waited in vain: nothing that holds room ends by itself soon.
func errFull(waited time.Duration) error {
	return api.Errorf(api.CodeExhausted, "cannot make a sandbox: because this host had no room for it within %s", waited).
		WithFix("remove or hibernate sandboxes that are not needed, make fewer at a time, or give each less memory with --memory; 'brig doctor' says what the host has")
}

// templatesFor lists what a name may mean, best first. ubuntu-24.04 is what
// published clients send when their caller named none.
func templatesFor(name string) []string {
	switch name {
	case "":
		return []string{"base", "python", "host"}
	case "ubuntu-24.04":
		return []string{name, "base", "python", "host"}
	}
	return []string{name}
}

// checkBox refuses a box that is not what was asked for, and destroys it.
func checkBox(ctx context.Context, box host.Sandbox, from *api.Snapshot) (host.Session, error) {
	session, ok := box.(host.Session)
	if !ok {
		destroy(ctx, box)
		return nil, api.Errorf(api.CodeUnsupported, "cannot make a sandbox: because this host has none that outlive one program").
			WithFix("use 'brig run'")
	}
	if from != nil && box.Info().Digest != from.Digest {
		destroy(ctx, box)
		return nil, api.Errorf(api.CodeUnavailable, "cannot restore snapshot %s: because template %s is not the one that it was taken over", from.ID, from.Template).
			WithFix("build the template as it was, or take a new snapshot")
	}
	return session, nil
}

// destroy is for a box that nobody knows of yet; the host tries again by itself.
func destroy(ctx context.Context, box host.Sandbox) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	_ = box.Destroy(ctx)
}
