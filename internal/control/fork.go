package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brigdev/brig/api"
)

// Fork makes children of this moment of the sandbox, which goes on. They are
// restored in parallel, at most one for each core at a time, and inherit limits,
// environment, TTL, metadata and owner. When some of them fail, the result says
// so; when all do, it is an error.
func (sb *Sandbox) Fork(ctx context.Context, req api.ForkRequest) (api.ForkResult, error) {
	if req.Count == 0 {
		req.Count = 1
	}
	if req.Count < 1 || req.Count > maxChildren {
		return api.ForkResult{}, api.Errorf(api.CodeInvalid, "cannot make %d children: because the range is 1 to %d", req.Count, maxChildren).
			WithFix("fork several times")
	}
	if err := checkWords(req.Name, req.Metadata); err != nil {
		return api.ForkResult{}, err
	}
	if req.TTLSeconds == 0 {
		req.TTLSeconds = sb.record().TTLSeconds
	}
	ttl, err := ttlOf(req.TTLSeconds, false)
	if err != nil {
		return api.ForkResult{}, err
	}
	r, m, dir, release, err := sb.takeForFork(ctx)
	if err != nil {
		return api.ForkResult{}, err
	}
	defer release()
	tree := "t-" + strings.ToLower(rand.Text()[:10])
	births := make([]birth, req.Count)
	for i := range births {
		births[i] = newChild(r, m, dir, req, i, tree, ttl)
	}
	result, err := sb.svc.bearAll(ctx, births)
	result.TreeID, result.ParentID, result.At, result.PausedMS = tree, sb.id, m.CreatedAt, m.PausedMS
	if err == nil {
		sb.event("forked", "tree", tree, "children", fmt.Sprint(len(result.Children)))
	}
	return result, err
}

// takeForFork keeps the moment that all children come from, until release.
func (sb *Sandbox) takeForFork(ctx context.Context) (r record, m api.Snapshot, dir string, release func(), err error) {
	_, done, err := sb.use(ctx) // wakes it
	if err != nil {
		return r, m, "", nil, err
	}
	defer done()
	leave, err := sb.takeTurn(ctx)
	if err != nil {
		return r, m, "", nil, err
	}
	defer leave()
	r, box, err := sb.living()
	switch {
	case err != nil:
		return r, m, "", nil, err
	case sb.svc.cfg.Snapshots == nil:
		return r, m, "", nil, errNoSnapshots()
	case box == nil:
		return r, m, "", nil, sb.errAsleep()
	}
	m, dir, release, err = sb.svc.cfg.Snapshots.Temporary(ctx, func(dir string) (api.Snapshot, error) {
		return sb.fill(ctx, r, box, dir)
	})
	return r, m, dir, release, err
}

// newChild is the request for one child.
func newChild(parent record, m api.Snapshot, dir string, req api.ForkRequest, i int, tree string, ttl time.Duration) birth {
	b := birth{rec: record{Owner: parent.Owner, Env: parent.Env}, spec: childSpec(parent, ttl)}
	if b.rec.Name = req.Name; req.Name != "" && req.Count > 1 {
		b.rec.Name = fmt.Sprintf("%s-%d", req.Name, i+1)
	}
	b.rec.Metadata = maps.Clone(parent.Metadata)
	if b.rec.Metadata == nil {
		b.rec.Metadata = map[string]string{}
	}
	maps.Copy(b.rec.Metadata, req.Metadata)
	b.rec.ParentID, b.rec.ForkTreeID, b.rec.FromSnapshot = parent.ID, tree, parent.FromSnapshot
	b.rec.Egress = parent.Egress
	b.rec.IdleTimeoutSeconds, b.rec.Persistent = parent.IdleTimeoutSeconds, parent.Persistent
	b.spec.Name, b.spec.Metadata = b.rec.Name, b.rec.Metadata
	b.restore(m, dir, "fork")
	return b
}

// bearAll makes children side by side.
func (s *Service) bearAll(ctx context.Context, births []birth) (api.ForkResult, error) {
	children := make([]*Sandbox, len(births))
	errs := make([]error, len(births))
	var full atomic.Bool // no room for one means none for the rest
	var wait sync.WaitGroup
	for i, b := range births {
		wait.Go(func() {
			select {
			case s.forks <- struct{}{}:
				defer func() { <-s.forks }()
				if full.Load() {
					errs[i] = errFull(s.cfg.CreateWithin)
					return
				}
				children[i], errs[i] = s.bear(ctx, b)
				if errs[i] != nil && api.CodeOf(errs[i]) == api.CodeExhausted {
					full.Store(true)
				}
			case <-ctx.Done():
				errs[i] = api.Errorf(api.CodeCancelled, "cannot fork: because the caller went away")
			}
		})
	}
	wait.Wait()
	result := api.ForkResult{Children: []api.Sandbox{}}
	var first error
	for i, child := range children {
		if errs[i] != nil {
			result.Errors = append(result.Errors, api.ForkError{Index: i, Err: errs[i].Error()})
			if first == nil {
				first = errs[i]
			}
			continue
		}
		result.Children = append(result.Children, child.Info())
	}
	if len(result.Children) == 0 {
		return result, first
	}
	return result, nil
}

// Promote keeps one child of a fork: its siblings are destroyed, unless they
// shall be kept, and it leaves the tree. A tree that is named must be its own.
func (s *Service) Promote(ctx context.Context, owner, id, tree string, keepSiblings bool) (api.PromoteResult, error) {
	winner, err := s.Find(owner, id)
	if err != nil {
		return api.PromoteResult{}, err
	}
	r, _, err := winner.living()
	if err != nil {
		return api.PromoteResult{}, err
	}
	if r.ForkTreeID == "" || (tree != "" && tree != r.ForkTreeID) {
		return api.PromoteResult{}, api.Errorf(api.CodeConflict, "cannot promote sandbox %s: because it is no child of that fork, or of any", r.ID).
			WithFix("promote one of the children that 'brig fork' printed")
	}
	result := api.PromoteResult{Winner: r.ID, TreeID: r.ForkTreeID, Deleted: []string{}}
	if !keepSiblings {
		s.deleteSiblings(ctx, r, &result)
	}
	winner.event("promoted", "tree", r.ForkTreeID)
	return result, winner.change(func(r *record) { r.ForkTreeID = "" })
}

func (s *Service) deleteSiblings(ctx context.Context, winner record, result *api.PromoteResult) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, sb := range s.all() {
		r := sb.record()
		if r.Owner != winner.Owner || r.ForkTreeID != winner.ForkTreeID || r.ID == winner.ID || !r.living() {
			continue
		}
		wait.Go(func() {
			err := sb.end(ctx, api.StatusDeleted, "deleted", "its sibling "+winner.ID+" was promoted")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				result.Deleted = append(result.Deleted, r.ID)
				return
			}
			if result.Failures == nil {
				result.Failures = map[string]string{}
			}
			result.Failures[r.ID] = err.Error()
		})
	}
	wait.Wait()
}
