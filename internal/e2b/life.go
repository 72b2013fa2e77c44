package e2b

import (
	"context"
	"net/http"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// maxTimeout is the longest TTL, in seconds; minTimeout stands for 0, which clients
// send to end a sandbox now.
const (
	maxTimeout = 7 * 24 * 3600
	minTimeout = 0.001
)

func checkTimeout(seconds float64) error {
	if seconds < 0 || seconds > maxTimeout {
		return api.Errorf(api.CodeInvalid, "cannot use a timeout of %g seconds: because the range is 0 to %d", seconds, maxTimeout).WithFix("use 300")
	}
	return nil
}

// sandbox is the living one that the path names, if it is the caller's. One that
// has ended does not exist for E2B's clients.
func (s *Server) sandbox(r *request) (*control.Sandbox, error) {
	sb, err := s.cfg.Sandboxes.Find(r.owner, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if stateOf(sb.Info()) == "" {
		return nil, api.Errorf(api.CodeNotFound, "cannot find sandbox %s: because it has ended", sb.ID()).WithFix("make a new one")
	}
	return sb, nil
}

func getSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, showDetail(sb))
	return nil
}

func killSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	if err := sb.Delete(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func connectV1(s *Server, w http.ResponseWriter, r *request) error {
	return s.connect(w, r, defaultTimeoutV1)
}

func connectV2(s *Server, w http.ResponseWriter, r *request) error {
	return s.connect(w, r, defaultTimeoutV2)
}

// connect resumes a sandbox that is paused, with a new TTL. One that runs is left
// as it is, but that its TTL may become longer. Either is open to E2B's clients from
// then on, whichever API made it.
func (s *Server) connect(w http.ResponseWriter, r *request, timeout float64) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body struct {
		Timeout *float64 `json:"timeout"`
		Memory  *bool    `json:"memory"`
	}
	if err := readBody(w, r.Request, maxBody, &body); err != nil {
		return err
	}
	if body.Memory != nil && !*body.Memory {
		return errMissing("a reboot of a paused sandbox")
	}
	if body.Timeout != nil {
		timeout = *body.Timeout
	}
	if err := checkTimeout(timeout); err != nil {
		return err
	}
	status := http.StatusOK
	if stateOf(sb.Info()) == statePaused {
		status = http.StatusCreated
		err = resume(r.Context(), sb, timeout)
	} else {
		err = extend(r.Context(), sb, timeout)
	}
	if err != nil {
		return err
	}
	n, err := adopt(sb, nil)
	if err != nil {
		return err
	}
	writeJSON(w, status, showSandbox(sb.Info(), n))
	return nil
}

// resume lets a paused sandbox go on for a new time, in seconds.
func resume(ctx context.Context, sb *control.Sandbox, timeout float64) error {
	if err := sb.Resume(ctx); err != nil {
		return err
	}
	return setTTL(ctx, sb, timeout)
}

// setTTL moves the deadline to so many seconds from now.
func setTTL(ctx context.Context, sb *control.Sandbox, timeout float64) error {
	timeout = max(timeout, minTimeout)
	_, err := sb.SetLifecycle(ctx, api.LifecycleChange{TTLSeconds: &timeout})
	return err
}

// extend moves the deadline to so many seconds from now, unless it is later.
func extend(ctx context.Context, sb *control.Sandbox, timeout float64) error {
	timeout = max(timeout, minTimeout)
	_, err := sb.SetLifecycle(ctx, api.LifecycleChange{TTLSeconds: &timeout, ExtendOnly: true})
	return err
}

// pauseAtEnd has a sandbox pause when its time is over.
func pauseAtEnd(ctx context.Context, sb *control.Sandbox) error {
	yes := true
	_, err := sb.SetLifecycle(ctx, api.LifecycleChange{HibernateAtEnd: &yes})
	return err
}

func setTimeout(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body struct {
		Timeout *float64 `json:"timeout"`
	}
	if err := readBody(w, r.Request, maxBody, &body); err != nil {
		return err
	}
	if body.Timeout == nil {
		return api.Errorf(api.CodeInvalid, "cannot set the timeout: because the request has none").WithFix(`send {"timeout": 300}`)
	}
	if err := checkTimeout(*body.Timeout); err != nil {
		return err
	}
	if err := refusePaused(sb); err != nil {
		return err
	}
	if err := setTTL(r.Context(), sb, *body.Timeout); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// refusePaused is for what E2B's clients ask of running sandboxes alone.
func refusePaused(sb *control.Sandbox) error {
	if stateOf(sb.Info()) != statePaused {
		return nil
	}
	return api.Errorf(api.CodeConflict, "cannot change sandbox %s: because it is paused", sb.ID()).WithFix("connect to it first")
}

// refresh is an older spelling of keeping a sandbox for longer.
func refresh(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	body := struct {
		Duration float64 `json:"duration"`
	}{Duration: defaultTimeoutV1}
	if err := readBody(w, r.Request, maxBody, &body); err != nil {
		return err
	}
	if err := checkTimeout(body.Duration); err != nil {
		return err
	}
	if err := extend(r.Context(), sb, body.Duration); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// pauseSandbox keeps a sandbox on disk, memory and all; 409 when it is there
// already.
func pauseSandbox(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body struct {
		Memory *bool `json:"memory"`
	}
	if err := readBody(w, r.Request, maxBody, &body); err != nil {
		return err
	}
	if body.Memory != nil && !*body.Memory {
		return errMissing("a pause without memory")
	}
	if err := refusePaused(sb); err != nil {
		return err
	}
	if err := sb.Park(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
