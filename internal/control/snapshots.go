package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/snapshot"
)

// sleepPrefix begins the names of snapshots that sandboxes sleep in: no caller can
// choose such a name, and no list shows them.
const sleepPrefix = "/"

// sleepName names this Service's own, so that it finds what was left, and never
// another's.
func (j journal) sleepName() string {
	sum := sha256.Sum256([]byte(j.dir))
	return sleepPrefix + hex.EncodeToString(sum[:8])
}

func (j journal) owns(m api.Snapshot) bool { return m.Name == j.sleepName() }

func errNoSnapshots() error {
	return api.Errorf(api.CodeUnsupported, "cannot keep a snapshot: because this server has no place for them").
		WithFix("start it with a data directory")
}

// Snapshot keeps this moment of a running sandbox, which goes on.
// ttl 0 keeps it until it is removed.
func (sb *Sandbox) Snapshot(ctx context.Context, name string, ttl time.Duration) (api.Snapshot, error) {
	if err := checkWords(name, nil); err != nil {
		return api.Snapshot{}, err
	}
	if ttl < 0 {
		return api.Snapshot{}, badTime("ttl", ttl.Seconds())
	}
	_, done, err := sb.use(ctx)
	if err != nil {
		return api.Snapshot{}, err
	}
	defer done()
	release, err := sb.takeTurn(ctx)
	if err != nil {
		return api.Snapshot{}, err
	}
	defer release()
	r, box, err := sb.living()
	if err != nil {
		return api.Snapshot{}, err
	}
	m, err := sb.take(ctx, r, box, name, ttl)
	if err == nil {
		sb.event("snapshot", "id", m.ID, "size", api.FormatBytes(m.SizeBytes))
	}
	return m, err
}

// take makes a snapshot of box. The caller has the turn.
func (sb *Sandbox) take(ctx context.Context, r record, box host.Session, name string, ttl time.Duration) (api.Snapshot, error) {
	if sb.svc.cfg.Snapshots == nil {
		return api.Snapshot{}, errNoSnapshots()
	}
	if box == nil {
		return api.Snapshot{}, sb.errAsleep()
	}
	return sb.svc.cfg.Snapshots.Create(ctx, func(dir string) (api.Snapshot, error) {
		m, err := sb.fill(ctx, r, box, dir)
		m.Name = name
		if ttl > 0 {
			m.ExpiresAt = m.CreatedAt.Add(ttl)
		}
		return m, err
	})
}

// errAsleep is for who finds that the sandbox hibernates again.
func (sb *Sandbox) errAsleep() error {
	return api.Errorf(api.CodeConflict, "cannot keep a snapshot of sandbox %s: because it hibernates", sb.id).
		WithFix("wake it with 'brig sandbox resume %s'", sb.id)
}

// fill has the box write this moment into dir, and describes it.
func (sb *Sandbox) fill(ctx context.Context, r record, box host.Session, dir string) (api.Snapshot, error) {
	programs := sb.procs.refs()
	paused, err := box.Snapshot(ctx, dir)
	return api.Snapshot{
		CreatedAt: time.Now().UTC(), Owner: r.Owner, Sandbox: r.ID, Parent: r.FromSnapshot,
		Template: r.Template, Digest: r.Digest, Driver: r.Driver, Key: box.SnapshotKey(), Limits: r.FullLimits,
		Env: r.Env, Metadata: r.Metadata, Kernels: sb.cells.refs(), Programs: programs, PausedMS: paused.Milliseconds(),
	}, err
}

// useSnapshot gives the files of one for a restore here.
func (s *Service) useSnapshot(ctx context.Context, m api.Snapshot) (dir string, release func(), err error) {
	need := snapshot.Need{Driver: m.Driver, Digest: m.Digest} // the host's answer is compared with the digest
	if s.cfg.SnapshotKey != nil {
		need.Key = s.cfg.SnapshotKey(m.Driver)
	}
	return s.cfg.Snapshots.Use(ctx, m.ID, need)
}

// Snapshots lists owner's snapshots, the newest first; with sandbox only those
// that were taken of it.
func (s *Service) Snapshots(ctx context.Context, owner, sandbox string) ([]api.Snapshot, error) {
	list := []api.Snapshot{}
	if s.cfg.Snapshots == nil {
		return list, nil
	}
	all, err := s.cfg.Snapshots.List(ctx, snapshot.Filter{Owner: owner, Sandbox: sandbox})
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.Owner == owner && !strings.HasPrefix(m.Name, sleepPrefix) {
			list = append(list, m)
		}
	}
	return list, nil
}

// Snapshot describes one of owner's, by id or by a name that only one has.
// CodeNotFound; CodeConflict when several have the name.
func (s *Service) Snapshot(ctx context.Context, owner, id string) (api.Snapshot, error) {
	list, err := s.Snapshots(ctx, owner, "")
	if err != nil {
		return api.Snapshot{}, err
	}
	var named []api.Snapshot
	for _, m := range list {
		if m.ID == id {
			return m, nil
		}
		if m.Name == id && id != "" {
			named = append(named, m)
		}
	}
	switch len(named) {
	case 0:
	case 1:
		return named[0], nil
	default:
		return api.Snapshot{}, api.Errorf(api.CodeConflict, "cannot tell which snapshot %.80q is: because %d have that name", id, len(named)).
			WithFix("name it by its id; list them with 'brig snapshot ls'")
	}
	return api.Snapshot{}, api.Errorf(api.CodeNotFound, "cannot find snapshot %.80q: because there is none", id).
		WithFix("list them with 'brig snapshot ls'")
}

// RemoveSnapshot deletes one of owner's. CodeConflict while something restores it.
func (s *Service) RemoveSnapshot(ctx context.Context, owner, id string) error {
	m, err := s.Snapshot(ctx, owner, id)
	if err != nil {
		return err
	}
	return s.cfg.Snapshots.Remove(ctx, m.ID)
}

// removeSleep removes a snapshot that a sandbox slept in; what stays is removed by
// the next Service.
func (s *Service) removeSleep(ctx context.Context, m api.Snapshot) {
	ctx = context.WithoutCancel(ctx)
	err := s.cfg.Snapshots.Unpin(ctx, m.ID, m.Sandbox)
	if err == nil {
		err = s.cfg.Snapshots.Remove(ctx, m.ID)
	}
	if err != nil {
		s.log.Warn("cannot remove a snapshot", "id", m.ID, "error", err)
	}
}
