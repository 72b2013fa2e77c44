package hosttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// session makes a session that the test's end destroys, if nothing else does.
func (s *suite) session(t *testing.T, change ...func(*api.SandboxSpec)) host.Session {
	t.Helper()
	box, ok := s.create(t, append([]func(*api.SandboxSpec){asSession}, change...)...).(host.Session)
	if !ok {
		t.Fatal("what was made as a session is none")
	}
	return box
}

func asSession(spec *api.SandboxSpec) { spec.Session = true }

// wantAlive checks that a session goes on.
func (s *suite) wantAlive(t *testing.T, box host.Session) {
	t.Helper()
	want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.True}, ""), api.OK)
	if reason, detail := box.Ended(); reason != "" || detail != "" {
		t.Errorf("it lives, and says that it ended: %s, %s", reason, detail)
	}
}

// wantEnded waits for a session's end.
func (s *suite) wantEnded(t *testing.T, box host.Session, reason string) {
	t.Helper()
	select {
	case <-box.Done():
	case <-s.ctx.Done():
		t.Fatal("the sandbox does not end")
	}
	if got, detail := box.Ended(); got != reason {
		t.Errorf("it ended by %q (%s), want %q", got, detail, reason)
	}
	s.wantGone(t, box)
}

// echo is a program that copies its input, and the two ends of it.
type echo struct {
	host.Process
	in  *io.PipeWriter
	out *io.PipeReader
}

// startEcho starts one and hears from it.
func (s *suite) startEcho(ctx context.Context, t *testing.T, box host.Session, spec api.ExecSpec) echo {
	t.Helper()
	spec.Argv = s.Programs.Echo
	return s.converse(t, func(io host.Stdio) (host.Process, error) { return box.Start(ctx, spec, io) })
}

func (s *suite) converse(t *testing.T, begin func(host.Stdio) (host.Process, error)) echo {
	t.Helper()
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	p, err := begin(host.Stdio{Stdin: stdin, Stdout: stdout})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	context.AfterFunc(s.ctx, func() { // the end of the test, or of its patience
		in.CloseWithError(s.ctx.Err())
		out.CloseWithError(s.ctx.Err())
	})
	e := echo{p, in, out}
	e.say(t, "are you there?")
	return e
}

// say expects an echo.
func (e echo) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(e.in, text); err != nil {
		t.Errorf("say %q: %v", text, err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(e.out, got); err != nil || string(got) != text {
		t.Errorf("said %q and heard %q, %v", text, got, err)
	}
}

// end lets the program end by itself.
func (e echo) end(t *testing.T) {
	t.Helper()
	e.in.Close()
	e.wantVerdict(t, api.OK)
}

func (e echo) wantVerdict(t *testing.T, v api.Verdict) {
	t.Helper()
	r, err := e.Wait()
	if err != nil || r.Verdict != v {
		t.Errorf("the program ended as %s (%+v), %v; want %s", r.Verdict, r.Evidence, err, v)
	}
}

func (s *suite) testSessionInfo(t *testing.T) {
	box := s.session(t, func(spec *api.SandboxSpec) {
		spec.Name, spec.Metadata, spec.TTL = "mine", map[string]string{"team": "red"}, time.Hour
	})
	info := box.Info()
	if !info.Session || info.Name != "mine" || info.Metadata["team"] != "red" || info.State != "running" || info.Restored {
		t.Errorf("info %+v", info)
	}
	if got := info.Deadline.Sub(info.CreatedAt); got != time.Hour {
		t.Errorf("the deadline is %s after creation", got)
	}
	if r := s.run(t, box, api.ExecSpec{Argv: need(t, s.Programs.Hostname, "tell their host name")}, ""); r.stdout != info.ID+"\n" {
		t.Errorf("the host name is %q, want the id %s", r.stdout, info.ID)
	}
	stats := box.Stats()
	if stats.MemoryLimit != info.Limits.MemoryBytes || stats.Processes != 0 || stats.PeakMemoryBytes < stats.MemoryBytes {
		t.Errorf("stats %+v", stats)
	}
	wantCode(t, "reset of a session", box.Reset(s.ctx), api.CodeUnsupported)
	if err := box.Destroy(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.wantEnded(t, box, "destroyed")
}

func (s *suite) testSessionEnvironment(t *testing.T) {
	box := s.session(t, func(spec *api.SandboxSpec) { spec.Env = map[string]string{"NAME": "the session's"} })
	if r := s.run(t, box, api.ExecSpec{Argv: s.Programs.PrintName}, ""); r.stdout != "the session's\n" {
		t.Errorf("NAME is %q", r.stdout)
	}
	r := s.run(t, box, api.ExecSpec{Argv: s.Programs.PrintName, Env: map[string]string{"NAME": "the exec's"}}, "")
	if r.stdout != "the exec's\n" {
		t.Errorf("NAME is %q", r.stdout)
	}
	user := need(t, s.Programs.WhoAmI, "tell who a program is")
	if r := s.run(t, box, api.ExecSpec{Argv: user}, ""); r.stdout == "0\n" {
		t.Error("an ordinary program is root")
	}
	if r := s.run(t, box, api.ExecSpec{Argv: user, Root: true}, ""); r.stdout != "0\n" {
		t.Errorf("a program as root is user %q", r.stdout)
	}
}

func (s *suite) testSessionBadCreate(t *testing.T) {
	for name, change := range map[string]func(*api.SandboxSpec){
		"too long a ttl":           func(spec *api.SandboxSpec) { spec.TTL = 8 * 24 * time.Hour },
		"a snapshot, no session":   func(spec *api.SandboxSpec) { spec.Session, spec.Snapshot = false, t.TempDir() },
		"a variable without name":  func(spec *api.SandboxSpec) { spec.Env = map[string]string{"": "x"} },
		"a language that is not":   func(spec *api.SandboxSpec) { spec.Warm = "klingon" },
		"a bad hostname":           func(spec *api.SandboxSpec) { spec.Hostname = "A" },
		"a negative time to live":  func(spec *api.SandboxSpec) { spec.TTL = -1 },
		"a variable with an equal": func(spec *api.SandboxSpec) { spec.Env = map[string]string{"A=B": "x"} },
	} {
		_, err := s.host.Create(s.ctx, s.spec(asSession, change))
		wantCode(t, name, err, api.CodeInvalid)
	}
	if _, err := s.host.Create(s.ctx, s.spec(asSession, func(spec *api.SandboxSpec) { spec.Snapshot = t.TempDir() })); err == nil {
		t.Error("a session was restored from an empty directory")
	}
	box := s.create(t)
	for name, spec := range map[string]api.ExecSpec{
		"a terminal":  {Argv: s.Programs.True, Terminal: &api.Terminal{Rows: 1, Cols: 1}},
		"kept output": {Argv: s.Programs.True, Keep: true},
	} {
		_, err := box.Exec(s.ctx, spec, host.Stdio{})
		wantCode(t, name+" without a session", err, api.CodeInvalid)
	}
}

// Programs run at the same time, each with its own streams and its own end.
func (s *suite) testSessionConcurrent(t *testing.T) {
	box := s.session(t)
	all := make([]echo, 6)
	for i := range all {
		all[i] = s.startEcho(s.ctx, t, box, api.ExecSpec{})
	}
	if got := box.Stats().Processes; got != len(all) {
		t.Errorf("%d programs run, want %d", got, len(all))
	}
	var talks sync.WaitGroup
	for i, e := range all {
		talks.Go(func() {
			for range 20 {
				e.say(t, strings.Repeat(string(rune('a'+i)), 1000))
			}
		})
	}
	s.wantAlive(t, box) // one more beside them
	talks.Wait()
	for _, e := range all {
		e.end(t)
	}
	if got := box.Stats().Processes; got != 0 {
		t.Errorf("%d programs run after their end", got)
	}
}

func (s *suite) testSessionLimits(t *testing.T) {
	box := s.session(t, func(spec *api.SandboxSpec) { spec.Limits.PIDs, spec.Limits.DiskBytes = 32, 16<<20 })
	beside := s.startEcho(s.ctx, t, box, api.ExecSpec{})
	for _, tt := range []struct {
		name  string
		argv  []string
		spec  api.ExecSpec
		want  api.Verdict
		limit string
	}{
		{"timeout", s.Programs.Hang, api.ExecSpec{Timeout: 50 * time.Millisecond}, api.Timeout, "timeout"},
		{"cpu time", s.Programs.Spin, api.ExecSpec{CPUTime: time.Second}, api.CPUTime, "cpu_time"},
		{"disk", s.Programs.FillDisk, api.ExecSpec{}, api.DiskFull, "disk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Argv = need(t, tt.argv, "limit "+tt.name)
			r := s.run(t, box, tt.spec, "")
			want(t, r, tt.want)
			if r.Evidence.LimitName != tt.limit || r.Evidence.Reason == "" {
				t.Errorf("evidence %+v, want the limit %s", r.Evidence, tt.limit)
			}
			s.wantAlive(t, box)
			// What one program did is not held against the next.
			want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.Exit3}, ""), api.Nonzero)
		})
	}
	beside.say(t, "nothing of that was about me")
	beside.end(t)
}

// Exactly the limit is passed on, the program is ended, the sandbox is not.
func (s *suite) testSessionOutputLimit(t *testing.T) {
	box := s.session(t)
	const limit = 100_000
	r := s.run(t, box, api.ExecSpec{Argv: need(t, s.Programs.Flood, "flood"), OutputBytes: limit}, "")
	want(t, r, api.OutputLimit)
	if r.stdout != strings.Repeat("x", limit) || !r.Truncated {
		t.Errorf("%d bytes came, want %d; truncated: %v", len(r.stdout), limit, r.Truncated)
	}
	s.wantAlive(t, box)
}

// A program that is ended takes with it what it left behind, wherever that went.
func (s *suite) testSessionKillsAll(t *testing.T) {
	box := s.session(t)
	daemon := need(t, s.Programs.Daemon, "leave a process behind")
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	p, err := box.Start(ctx, api.ExecSpec{Argv: daemon}, host.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	s.awaitFile(t, box, "daemon.pid")
	want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.Alive}, ""), api.OK)
	cancel()
	r, err := p.Wait()
	if err != nil || r.Verdict != api.Cancelled {
		t.Errorf("%s, %v; want cancelled", r.Verdict, err)
	}
	if r := s.run(t, box, api.ExecSpec{Argv: s.Programs.Alive}, ""); r.Verdict == api.OK {
		t.Error("what it left behind still runs")
	}
	s.wantAlive(t, box)
}

// awaitFile waits for what a program makes.
func (s *suite) awaitFile(t *testing.T, box host.Session, name string) {
	t.Helper()
	for {
		_, err := box.Stat(s.ctx, name)
		if err == nil {
			return
		}
		if api.CodeOf(err) != api.CodeNotFound {
			t.Fatalf("stat %s: %v", name, err)
		}
	}
}

func (s *suite) testSessionStreamsFail(t *testing.T) {
	broken := errors.New("nobody listens")
	box := s.session(t)
	for name, stdio := range map[string]host.Stdio{
		"writer": {Stdin: bytes.NewReader([]byte("x")), Stdout: failing{broken}},
		"reader": {Stdin: failing{broken}},
	} {
		res, err := box.Exec(s.ctx, api.ExecSpec{Argv: s.Programs.Echo}, stdio)
		if err != nil || res.Verdict != api.Cancelled {
			t.Errorf("%s: %s, %v; want cancelled", name, res.Verdict, err)
		}
		s.wantAlive(t, box)
	}
	_, err := box.Exec(s.ctx, api.ExecSpec{}, host.Stdio{})
	wantCode(t, "a request that makes no sense", err, api.CodeInvalid)
	s.wantAlive(t, box)
}

// The deadline is where it was moved to, and nobody has to ask.
func (s *suite) testSessionDeadline(t *testing.T) {
	brief := func(spec *api.SandboxSpec) { spec.TTL = 300 * time.Millisecond }
	box := s.session(t, brief)
	if err := box.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(box.Info().Deadline); left < 50*time.Minute {
		t.Errorf("%s are left, want an hour", left)
	}
	clock := s.session(t, brief)
	s.wantEnded(t, clock, "ttl")
	s.wantAlive(t, box)

	wantCode(t, "a deadline that has passed", box.SetDeadline(time.Now()), api.CodeInvalid)
	wantCode(t, "a deadline too far", box.SetDeadline(time.Now().Add(8*24*time.Hour)), api.CodeInvalid)
	if err := box.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	s.wantEnded(t, box, "ttl")
	wantCode(t, "the deadline of what is gone", box.SetDeadline(time.Now().Add(time.Hour)), api.CodeConflict)
}
