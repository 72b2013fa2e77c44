package control_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/host"
)

func create(t *testing.T, r *controltest.Rig, change ...func(*api.CreateRequest)) *control.Sandbox {
	t.Helper()
	req := api.CreateRequest{Template: "fake"}
	for _, c := range change {
		c(&req)
	}
	sb, err := r.Create(t.Context(), "ann", req, "")
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

func exec(t *testing.T, sb *control.Sandbox, argv ...string) api.ExecResponse {
	t.Helper()
	res, err := sb.Exec(t.Context(), api.ExecRequest{Argv: argv})
	if err != nil {
		t.Fatalf("exec %v: %v", argv, err)
	}
	return res
}

func wantCode(t *testing.T, what string, err error, code api.Code) {
	t.Helper()
	var e *api.Error
	if api.CodeOf(err) != code || !errors.As(err, &e) || err == nil {
		t.Errorf("%s: %v, want the code %s", what, err, code)
	}
}

func TestLife(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r, func(c *api.CreateRequest) {
		c.Name, c.Metadata, c.Env, c.TTLSeconds = "one", map[string]string{"job": "7"}, map[string]string{"NAME": "given"}, 60
	})
	info := sb.Info()
	if info.Status != api.StatusRunning || info.Name != "one" || info.Metadata["job"] != "7" || info.TTLSeconds != 60 || info.Isolation != api.RungGVisor {
		t.Errorf("created %+v", info)
	}
	if res := exec(t, sb, "env", "NAME"); res.Stdout != "given\n" || res.ExitCode != 0 || res.Verdict != api.OK {
		t.Errorf("exec: %+v", res)
	}
	if res := exec(t, sb, "exit", "3"); res.ExitCode != 3 || res.Verdict != api.Nonzero {
		t.Errorf("exec: %+v", res)
	}
	if got, err := r.Find("ann", "one"); err != nil || got.ID() != sb.ID() {
		t.Errorf("by name: %v, %v", got, err)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.Boxes(); n != 0 {
		t.Errorf("%d boxes are left", n)
	}
	_, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"true"}})
	wantCode(t, "exec of a deleted one", err, api.CodeNotFound)
	if list := r.List("ann", false); len(list) != 0 {
		t.Errorf("still listed: %v", list)
	}
	if list := r.List("ann", true); len(list) != 1 || list[0].Ended == nil || list[0].Ended.Reason != "deleted" {
		t.Errorf("the end is not remembered: %+v", list)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Errorf("a second time: %v", err)
	}
	events, err := sb.Events(0)
	if err != nil || len(events) != 4 || events[0].Type != "created" || events[3].Type != "ended" {
		t.Errorf("events %+v, %v", events, err)
	}
	var log bytes.Buffer
	if err := sb.Logs(t.Context(), false, func(c control.Chunk) error { log.Write(c.Data); return nil }); err != nil || log.String() != "given\n" {
		t.Errorf("log %q, %v", log.String(), err)
	}
}

func TestOwners(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r, func(c *api.CreateRequest) { c.Name = "mine" })
	m, err := sb.Snapshot(t.Context(), "kept", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{sb.ID(), "mine"} {
		_, err := r.Find("bob", id)
		wantCode(t, "another owner's sandbox", err, api.CodeNotFound)
	}
	_, err = r.Create(t.Context(), "bob", api.CreateRequest{FromSnapshot: m.ID}, "")
	wantCode(t, "another owner's snapshot", err, api.CodeNotFound)
	wantCode(t, "removing it", r.RemoveSnapshot(t.Context(), "bob", m.ID), api.CodeNotFound)
	_, err = r.Promote(t.Context(), "bob", sb.ID(), "", false)
	wantCode(t, "promoting it", err, api.CodeNotFound)
	list, err := r.Snapshots(t.Context(), "bob", "")
	if len(r.List("bob", true)) != 0 || len(list) != 0 || err != nil {
		t.Errorf("bob sees %v and %v (%v)", r.List("bob", true), list, err)
	}
}

func TestBadRequests(t *testing.T) {
	r := controltest.New(t)
	for name, tt := range map[string]struct {
		req  api.CreateRequest
		code api.Code
	}{
		"no such template": {api.CreateRequest{Template: "nope"}, api.CodeNotFound},
		"no such snapshot": {api.CreateRequest{FromSnapshot: "snap-nope"}, api.CodeNotFound},
		"ttl":              {api.CreateRequest{Template: "fake", TTLSeconds: -1}, api.CodeInvalid},
		"long ttl":         {api.CreateRequest{Template: "fake", TTLSeconds: 1e9}, api.CodeInvalid},
		"idle":             {api.CreateRequest{Template: "fake", IdleTimeoutSeconds: -1}, api.CodeInvalid},
		"name":             {api.CreateRequest{Template: "fake", Name: "a/b"}, api.CodeInvalid},
		"metadata":         {api.CreateRequest{Template: "fake", Metadata: map[string]string{"k": strings.Repeat("x", 5000)}}, api.CodeInvalid},
		"memory":           {api.CreateRequest{Template: "fake", Limits: api.Resources{MemoryBytes: 1}}, api.CodeInvalid},
		"isolation":        {api.CreateRequest{Template: "fake", Isolation: "microvm"}, api.CodeUnavailable},
	} {
		_, err := r.Create(t.Context(), "ann", tt.req, "")
		wantCode(t, name, err, tt.code)
	}
	sb := create(t, r)
	for name, req := range map[string]api.ExecRequest{
		"nothing": {}, "both": {Cmd: "true", Argv: []string{"true"}}, "timeout": {Cmd: "true", TimeoutSeconds: -1},
		"base64": {Cmd: "cat", StdinBase64: "!"}, "two stdins": {Cmd: "cat", Stdin: "a", StdinBase64: "YQ=="}, "output": {Cmd: "true", OutputBytes: 1 << 40},
	} {
		_, err := sb.Exec(t.Context(), req)
		wantCode(t, name, err, api.CodeInvalid)
	}
	if n := r.Boxes(); n != 1 {
		t.Errorf("%d boxes, want 1", n)
	}
}

func TestIdempotencyKey(t *testing.T) {
	r := controltest.New(t)
	req := api.CreateRequest{Template: "fake"}
	ids := make([]string, 8)
	var wait sync.WaitGroup
	for i := range ids {
		wait.Go(func() {
			sb, err := r.Create(t.Context(), "ann", req, "key")
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = sb.ID()
		})
	}
	wait.Wait()
	if slices.Sort(ids); ids[0] != ids[7] || r.Boxes() != 1 {
		t.Errorf("one key made %v, %d boxes", ids, r.Boxes())
	}
	req.Name = "other"
	_, err := r.Create(t.Context(), "ann", req, "key")
	wantCode(t, "another request", err, api.CodeConflict)
	if sb, err := r.Create(t.Context(), "bob", req, "key"); err != nil || sb.ID() == ids[0] {
		t.Errorf("another owner's key: %v", err)
	}
	r.Restart()
	if sb, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, "key"); err != nil || sb.ID() != ids[0] {
		t.Errorf("after a restart: %v", err)
	}
}

func TestDeadlines(t *testing.T) {
	r := controltest.New(t)
	ended := func(sb *control.Sandbox, reason string) func() bool {
		return func() bool { e := sb.Info().Ended; return e != nil && e.Reason == reason }
	}
	ttl := create(t, r, func(c *api.CreateRequest) { c.TTLSeconds = 0.05 })
	idle := create(t, r, func(c *api.CreateRequest) { c.IdleTimeoutSeconds = 0.05 })
	sleeper := create(t, r, func(c *api.CreateRequest) { c.IdleTimeoutSeconds, c.Persistent = 0.05, true })
	busy := create(t, r, func(c *api.CreateRequest) { c.IdleTimeoutSeconds = 0.05 })
	hang, err := busy.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"hang"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	controltest.Eventually(t, "the ttl", ended(ttl, "ttl"))
	controltest.Eventually(t, "the idle timeout", ended(idle, "idle"))
	controltest.Eventually(t, "the persistent one's sleep", func() bool { return sleeper.Info().Status == api.StatusHibernated })
	if busy.Info().Ended != nil {
		t.Error("one with a running process counts as idle")
	}
	if err := busy.SignalProcess(t.Context(), hang.ID, 9, false); err != nil {
		t.Fatal(err)
	}
	controltest.Eventually(t, "the busy one's idle timeout", ended(busy, "idle"))
	long := 60.0
	if l, err := sleeper.SetLifecycle(t.Context(), api.LifecycleChange{IdleTimeoutSeconds: &long}); err != nil || l.IdleTimeoutSeconds != 60 {
		t.Errorf("lifecycle %+v, %v", l, err)
	}
	short := 0.05
	if _, err := sleeper.SetLifecycle(t.Context(), api.LifecycleChange{TTLSeconds: &short}); err != nil {
		t.Fatal(err)
	}
	controltest.Eventually(t, "the ttl of a hibernated one", ended(sleeper, "ttl"))
	if list, err := r.Store.List(t.Context(), snapshotFilter); err != nil || len(list) != 0 || r.Boxes() != 0 {
		t.Errorf("left: %v, %d boxes (%v)", list, r.Boxes(), err)
	}
}

func TestPause(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	for range 3 {
		if err := sb.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"true"}})
		wantCode(t, "exec of a paused one", err, api.CodeConflict)
		wantCode(t, "hibernating it", sb.Hibernate(t.Context()), api.CodeConflict)
		if err := sb.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if res := exec(t, sb, "true"); res.ExitCode != 0 {
			t.Errorf("exec afterwards: %+v", res)
		}
	}
}

// TestFull: a host without room answers after a while, and the rest of a fork does
// not wait once more.
func TestFull(t *testing.T) {
	r := controltest.New(t)
	large := func(c *api.CreateRequest) { c.Limits.MemoryBytes = 20 << 30 }
	first := create(t, r, large)
	res, err := first.Fork(t.Context(), api.ForkRequest{Count: 8})
	if err != nil || len(res.Children) != 2 || len(res.Errors) != 6 {
		t.Errorf("a fork that does not fit: %+v, %v", res, err)
	}
	_, err = r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake", Limits: api.Resources{MemoryBytes: 20 << 30}}, "")
	wantCode(t, "one more", err, api.CodeExhausted)
	if err := first.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, r, large)
}

func TestTimeoutKeepsOutput(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	res, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"sh", "-c", "echo before\nhang"}, TimeoutSeconds: 0.05})
	if err != nil || !res.TimedOut || res.ExitCode != 124 || res.Stdout != "before\n" {
		t.Errorf("%+v, %v", res, err)
	}
	if res := exec(t, sb, "true"); res.ExitCode != 0 {
		t.Errorf("afterwards: %+v", res)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := sb.Exec(ctx, api.ExecRequest{Argv: []string{"hang"}}); err == nil && res.Verdict != api.Cancelled {
		t.Errorf("a caller that went away: %+v", res)
	}
	if res := exec(t, sb, "stdout", `$"a\xff"`); res.StdoutBase64 != "Yf8=" || res.Stdout != "a\uFFFD" {
		t.Errorf("bytes: %+v", res)
	}
}

func put(t *testing.T, sb *control.Sandbox, path, text string) {
	t.Helper()
	err := sb.With(t.Context(), func(box host.Session) error {
		return box.Put(t.Context(), path, 0o644, strings.NewReader(text))
	})
	if err != nil {
		t.Fatal(err)
	}
}
