package hosttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

func (s *suite) testVerdicts(t *testing.T) {
	code := func(n int) *int { return &n }
	for _, tt := range []struct {
		name   string
		argv   []string
		want   api.Verdict
		exit   *int
		signal string
	}{
		{"ok", s.Programs.True, api.OK, code(0), ""},
		{"nonzero", s.Programs.Exit3, api.Nonzero, code(3), ""},
		{"signal", s.Programs.KillSelf, api.Signal, nil, "SIGKILL"},
		{"no such program", []string{"brig-no-such-program"}, api.Nonzero, code(127), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			box := s.create(t)
			defer box.Destroy(s.ctx)
			r := s.run(t, box, api.ExecSpec{Argv: need(t, tt.argv, tt.name)}, "")
			want(t, r, tt.want)
			if (r.ExitCode == nil) != (tt.exit == nil) || r.ExitCode != nil && *r.ExitCode != *tt.exit {
				t.Errorf("exit code %v, want %v", r.ExitCode, tt.exit)
			}
			if r.Signal != tt.signal {
				t.Errorf("signal %q, want %q", r.Signal, tt.signal)
			}
			// A program's end is not the sandbox's.
			want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.True}, ""), api.OK)
		})
	}
}

func (s *suite) testLimits(t *testing.T) {
	small := func(spec *api.SandboxSpec) {
		spec.Limits = api.Limits{MemoryBytes: 64 << 20, PIDs: 32, DiskBytes: 16 << 20, Timeout: 30 * time.Second}
	}
	for _, tt := range []struct {
		name  string
		argv  []string
		spec  api.ExecSpec
		want  api.Verdict
		limit string
		value int64
	}{
		{"timeout", s.Programs.Hang, api.ExecSpec{Timeout: 50 * time.Millisecond}, api.Timeout, "timeout", 50},
		{"memory", s.Programs.Balloon, api.ExecSpec{}, api.OOM, "memory", 64 << 20},
		{"processes", s.Programs.ForkBomb, api.ExecSpec{}, api.PIDs, "pids", 32},
		{"disk", s.Programs.FillDisk, api.ExecSpec{}, api.DiskFull, "disk", 16 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			box := s.create(t, small)
			defer box.Destroy(s.ctx)
			tt.spec.Argv = need(t, tt.argv, "limit "+tt.name)
			r := s.run(t, box, tt.spec, "")
			want(t, r, tt.want)
			if r.Evidence.LimitName != tt.limit || r.Evidence.Limit != tt.value || r.Evidence.Reason == "" {
				t.Errorf("evidence %+v, want the limit %s of %d and a reason", r.Evidence, tt.limit, tt.value)
			}
		})
	}
}

// Exactly the limit is passed on, of both streams together, and the sandbox
// does not survive it.
func (s *suite) testOutputLimit(t *testing.T) {
	box := s.create(t)
	const limit = 100_000
	r := s.run(t, box, api.ExecSpec{Argv: need(t, s.Programs.Flood, "flood"), OutputBytes: limit}, "")
	want(t, r, api.OutputLimit)
	if r.stdout != strings.Repeat("x", limit) {
		t.Errorf("%d bytes came, want %d", len(r.stdout), limit)
	}
	if !r.Truncated || r.Evidence.LimitName != "output" || r.Evidence.Limit != limit {
		t.Errorf("truncated %v, evidence %+v", r.Truncated, r.Evidence)
	}
	s.wantGone(t, box)

	// What is exactly as long as the limit is not too long.
	box = s.create(t)
	r = s.run(t, box, api.ExecSpec{Argv: s.Programs.Echo, OutputBytes: limit}, strings.Repeat("y", limit))
	want(t, r, api.OK)
	if len(r.stdout) != limit || r.Truncated || r.Usage.OutputBytes != limit {
		t.Errorf("%d bytes came, truncated %v, usage %+v", len(r.stdout), r.Truncated, r.Usage)
	}
	r = s.run(t, box, api.ExecSpec{Argv: s.Programs.Complain, OutputBytes: 5}, "")
	want(t, r, api.OutputLimit)
	if len(r.stdout)+len(r.stderr) != 5 {
		t.Errorf("%q and %q came, want 5 bytes together", r.stdout, r.stderr)
	}
}

func (s *suite) testCPUTime(t *testing.T) {
	box := s.create(t)
	r := s.run(t, box, api.ExecSpec{Argv: need(t, s.Programs.Spin, "spin"), CPUTime: 100 * time.Millisecond}, "")
	want(t, r, api.CPUTime)
	if r.Evidence.LimitName != "cpu_time" || r.Evidence.Limit != 100 || r.Usage.CPUMS < 100 {
		t.Errorf("evidence %+v, usage %+v", r.Evidence, r.Usage)
	}
}

func (s *suite) testStreams(t *testing.T) {
	box := s.create(t)
	r := s.run(t, box, api.ExecSpec{Argv: s.Programs.Complain}, "")
	if r.stdout != "out" || r.stderr != "err" {
		t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
	}
	every := make([]byte, 0, 256*1024)
	for i := range cap(every) {
		every = append(every, byte(i*7+i>>8))
	}
	if r = s.run(t, box, api.ExecSpec{Argv: s.Programs.Echo}, string(every)); r.stdout != string(every) {
		t.Errorf("%d bytes came back of %d, or others", len(r.stdout), len(every))
	}
	if r = s.run(t, box, api.ExecSpec{Argv: s.Programs.Echo}, ""); r.stdout != "" || r.Verdict != api.OK {
		t.Errorf("empty stdin: %q, %s", r.stdout, r.Verdict)
	}
	res, err := box.Exec(s.ctx, api.ExecSpec{Argv: s.Programs.Echo}, host.Stdio{})
	if err != nil || res.Verdict != api.OK {
		t.Errorf("no streams at all: %v, %v", res.Verdict, err)
	}
}

func (s *suite) testEnvironment(t *testing.T) {
	t.Setenv("NAME", "the host's own")
	box := s.create(t)
	r := s.run(t, box, api.ExecSpec{Argv: s.Programs.PrintName, Env: map[string]string{"NAME": "a=b c"}}, "")
	if r.stdout != "a=b c\n" {
		t.Errorf("NAME is %q", r.stdout)
	}
	if r = s.run(t, box, api.ExecSpec{Argv: s.Programs.PrintName}, ""); r.stdout != "\n" {
		t.Errorf("NAME is %q without being given", r.stdout)
	}
}

func (s *suite) testScripts(t *testing.T) {
	box := s.create(t)
	if err := box.Put(s.ctx, "run.txt", 0o644, strings.NewReader("echo it ran\n")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"run.txt", "/work/run.txt"} {
		r := s.run(t, box, api.ExecSpec{Script: name, Language: s.Language}, "")
		if r.Verdict != api.OK || r.stdout != "it ran\n" {
			t.Errorf("%s: %s, %q, %q", name, r.Verdict, r.stdout, r.stderr)
		}
	}
	_, err := box.Exec(s.ctx, api.ExecSpec{Script: "run.txt", Language: "klingon"}, host.Stdio{})
	wantCode(t, "a language that the template has not", err, api.CodeInvalid)
	_, err = s.host.Create(s.ctx, s.spec(func(spec *api.SandboxSpec) { spec.Warm = "klingon" }))
	wantCode(t, "a warm interpreter that the template has not", err, api.CodeInvalid)
}

// A request that makes no sense leaves the sandbox as it is.
func (s *suite) testBadExec(t *testing.T) {
	box := s.create(t)
	for name, spec := range map[string]api.ExecSpec{
		"nothing":            {},
		"two things":         {Argv: []string{"true"}, Script: "run.txt"},
		"a negative timeout": {Argv: []string{"true"}, Timeout: -1},
		"a negative cap":     {Argv: []string{"true"}, OutputBytes: -1},
		"a bad variable":     {Argv: []string{"true"}, Env: map[string]string{"A=B": ""}},
		"too many arguments": {Argv: make([]string, 5000)},
		"too long arguments": {Argv: []string{"true", strings.Repeat("x", 1<<20)}},
	} {
		_, err := box.Exec(s.ctx, spec, host.Stdio{})
		wantCode(t, name, err, api.CodeInvalid)
	}
	want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.True}, ""), api.OK)
}

// startHang begins an exec that does not end by itself, and returns when it has
// begun; wait gives its end.
func (s *suite) startHang(ctx context.Context, t *testing.T, box host.Sandbox) (wait func() (api.ExecResult, error)) {
	t.Helper()
	type end struct {
		res api.ExecResult
		err error
	}
	ended := make(chan end, 1)
	stdin, feed := io.Pipe()
	t.Cleanup(func() { feed.Close() })
	output := make(chan struct{}, 1)
	go func() {
		res, err := box.Exec(ctx, api.ExecSpec{Argv: s.Programs.Echo}, host.Stdio{Stdin: stdin, Stdout: notifier(output)})
		ended <- end{res, err}
	}()
	if _, err := feed.Write([]byte("are you there?")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-output:
	case e := <-ended:
		t.Fatalf("the program did not begin: %+v, %v", e.res, e.err)
	}
	return func() (api.ExecResult, error) {
		e := <-ended
		return e.res, e.err
	}
}

// notifier tells that something was written.
type notifier chan struct{}

func (n notifier) Write(p []byte) (int, error) {
	select {
	case n <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *suite) testOneAtATime(t *testing.T) {
	box := s.create(t)
	ctx, stop := context.WithCancel(s.ctx)
	wait := s.startHang(ctx, t, box)
	_, err := box.Exec(s.ctx, api.ExecSpec{Argv: s.Programs.True}, host.Stdio{})
	wantCode(t, "a second exec", err, api.CodeConflict)
	// Files may be used meanwhile.
	if err := box.Put(s.ctx, "beside.txt", 0o644, strings.NewReader("x")); err != nil {
		t.Errorf("put beside an exec: %v", err)
	}
	stop()
	if _, err := wait(); err != nil {
		t.Error(err)
	}
}

func (s *suite) testCancelled(t *testing.T) {
	box := s.create(t)
	ctx, stop := context.WithCancel(s.ctx)
	wait := s.startHang(ctx, t, box)
	stop()
	res, err := wait()
	if err != nil || res.Verdict != api.Cancelled {
		t.Errorf("%s, %v; want cancelled", res.Verdict, err)
	}
	s.wantGone(t, box)
}

func (s *suite) testStreamsFail(t *testing.T) {
	broken := errors.New("nobody listens")
	for name, stdio := range map[string]host.Stdio{
		"writer": {Stdin: bytes.NewReader([]byte("x")), Stdout: failing{broken}},
		"reader": {Stdin: failing{broken}},
	} {
		box := s.create(t)
		res, err := box.Exec(s.ctx, api.ExecSpec{Argv: s.Programs.Echo}, stdio)
		if err != nil || res.Verdict != api.Cancelled {
			t.Errorf("%s: %s, %v; want cancelled", name, res.Verdict, err)
		}
		s.wantGone(t, box)
	}
}

// failing is a stream that fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
func (f failing) Read([]byte) (int, error)  { return 0, f.err }
