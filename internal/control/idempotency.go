package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/brigdev/brig/api"
)

// pendingCreate is a create that others with the same idempotency key wait for.
type pendingCreate struct {
	request string
	done    chan struct{}
	sandbox *Sandbox
	err     error
}

// Create makes a sandbox for owner. With a key that owner has used before, for
// the same request, it gives the sandbox of that time; CodeConflict when the
// request was another one. Other errors: as host.Host's Create.
func (s *Service) Create(ctx context.Context, owner string, req api.CreateRequest, key string) (*Sandbox, error) {
	if key == "" {
		return s.create(ctx, owner, req, "", "")
	}
	request := hashOf(req)
	p, first := s.claimKey(owner, key, request)
	if first {
		if p.sandbox, p.err = s.createdWith(owner, key, request); p.sandbox == nil && p.err == nil {
			p.sandbox, p.err = s.create(ctx, owner, req, key, request)
		}
		s.mu.Lock()
		delete(s.pending, keyName(owner, key))
		s.mu.Unlock()
		close(p.done)
		return p.sandbox, p.err
	}
	if p.request != request {
		return nil, errOtherRequest()
	}
	select {
	case <-p.done:
		return p.sandbox, p.err
	case <-ctx.Done():
		return nil, api.Errorf(api.CodeCancelled, "cannot wait for the sandbox: because the caller went away")
	}
}

// claimKey makes the caller the one who creates with this key, or gives it who
// does now.
func (s *Service) claimKey(owner, key, request string) (p *pendingCreate, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pending[keyName(owner, key)]; p != nil {
		return p, false
	}
	p = &pendingCreate{request: request, done: make(chan struct{})}
	s.pending[keyName(owner, key)] = p
	return p, true
}

func keyName(owner, key string) string { return owner + "\x00" + key }

// createdWith finds the sandbox that an earlier request with this key made.
func (s *Service) createdWith(owner, key, request string) (*Sandbox, error) {
	for _, sb := range s.all() {
		if r := sb.record(); r.Owner == owner && r.IdempotencyKey == key {
			if r.Request != request {
				return nil, errOtherRequest()
			}
			return sb, nil
		}
	}
	return nil, nil
}

func errOtherRequest() error {
	return api.Errorf(api.CodeConflict, "cannot create: because the idempotency key was used for another request").
		WithFix("use a new key for each request")
}

func hashOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // plain strings and numbers always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
