package host

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// maxArguments bounds the arguments and environment variables of an exec, below
// what the guest's agent has room for.
const maxArguments = 3500

// maxArgument bounds one of them, as Linux does.
const maxArgument = 128<<10 - 1

// execution is one exec: the request, its limits and what is being measured.
type execution struct {
	s       *sandbox
	request guest.ExecRequest
	limits  api.Limits // the sandbox's, with what the exec asked for
	first   firstStop
	began   time.Time
	before  driver.Usage // of the box when the exec began
	out     *outputCap
}

// Exec runs one program to its end, or to its limits. After a limit, a cancelled
// context or an error the sandbox is destroyed: what a program that had to be
// killed left behind is no place for another.
func (s *sandbox) Exec(ctx context.Context, spec api.ExecSpec, io Stdio) (api.ExecResult, error) {
	x, err := s.newExecution(spec)
	if err != nil {
		return api.ExecResult{}, err
	}
	if err := s.enter(); err != nil {
		return api.ExecResult{}, err
	}
	defer s.leave()
	x.request, err = s.request(spec, x.limits)
	if err != nil {
		return api.ExecResult{}, err
	}
	s.follow(&x.first)
	defer s.unfollow(&x.first)
	report, err := x.run(ctx, io)
	return x.result(ctx, report, err)
}

// enter takes the sandbox for an exec or a reset: one at a time.
func (s *sandbox) enter() error {
	select {
	case s.busy <- struct{}{}:
	default:
		return api.Errorf(api.CodeConflict, "cannot run in sandbox %s: because a program runs in it already", s.id).
			WithFix("wait for its end, or use another sandbox")
	}
	if !s.usable() {
		s.leave()
		return s.errGone()
	}
	return nil
}

func (s *sandbox) leave() { <-s.busy }

// follow has f told why the sandbox ends, also when that has just begun.
func (s *sandbox) follow(f *firstStop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.execs = append(s.execs, f)
	if s.ended != stopNone && s.ended != stopDied {
		f.record(s.ended)
	}
}

func (s *sandbox) unfollow(f *firstStop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.execs = slices.DeleteFunc(s.execs, func(g *firstStop) bool { return g == f })
}

// newExecution checks what can be checked without the sandbox.
func (s *sandbox) newExecution(spec api.ExecSpec) (*execution, error) {
	x, err := s.limited(spec)
	if err != nil {
		return nil, err
	}
	if (len(spec.Argv) > 0) == (spec.Script != "") {
		return nil, api.Errorf(api.CodeInvalid, "cannot run: because exactly one of a command and a script is needed").
			WithFix("give a command after --, or --code FILE")
	}
	if len(spec.Argv)+len(spec.Env)+len(s.env) > maxArguments {
		return nil, api.Errorf(api.CodeInvalid, "cannot run: because there are more than %d arguments and variables", maxArguments).
			WithFix("put large values into a file inside the sandbox")
	}
	if (spec.Terminal != nil || spec.Keep) && !s.session {
		return nil, api.Errorf(api.CodeInvalid, "cannot run with a terminal or keep output: because sandbox %s is no session", s.id).
			WithFix("make it with brig sandbox create")
	}
	if err := checkArgv(spec.Argv, spec.Cwd); err != nil {
		return nil, err
	}
	return x, checkEnv(spec.Env)
}

// limited is an execution with the sandbox's limits and what the exec asked for.
func (s *sandbox) limited(spec api.ExecSpec) (*execution, error) {
	x := &execution{s: s, limits: s.limits}
	if spec.Timeout != 0 {
		x.limits.Timeout = spec.Timeout
	}
	if spec.CPUTime != 0 {
		x.limits.CPUTime = spec.CPUTime
	}
	if spec.OutputBytes != 0 {
		x.limits.OutputBytes = spec.OutputBytes
	}
	checked := x.limits
	if s.session && checked.Timeout <= maxSessionTTL { // a program may run as long as its session
		checked.Timeout = min(checked.Timeout, maxTimeout)
	}
	return x, checked.Validate()
}

// checkArgv refuses what no program can be started with.
func checkArgv(argv []string, cwd string) error {
	for _, arg := range append([]string{cwd}, argv...) {
		if strings.ContainsRune(arg, 0) {
			return api.Errorf(api.CodeInvalid, "cannot run: because an argument or the directory has a NUL in it").
				WithFix("send such bytes as stdin, or in a file")
		}
		if len(arg) > maxArgument {
			return api.Errorf(api.CodeInvalid, "cannot run: because an argument or a line of the shell has %s, and the limit is %s",
				api.FormatBytes(int64(len(arg))), api.FormatBytes(maxArgument)).WithFix("put it into a file inside the sandbox, or send it as stdin")
		}
	}
	return nil
}

func checkEnv(env map[string]string) error {
	for k, v := range env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.Contains(v, "\x00") {
			return api.Errorf(api.CodeInvalid, "cannot set the environment variable %q: because its name or value has a character that none may have", k).
				WithFix("use names without = and NUL")
		}
	}
	return nil
}

// request builds the guest's request, and uses up a warm interpreter when there
// is one for the script.
func (s *sandbox) request(spec api.ExecSpec, l api.Limits) (guest.ExecRequest, error) {
	r := guest.ExecRequest{
		Argv: spec.Argv, Cwd: spec.Cwd, Env: maps.Clone(s.template.Env),
		NProc: uint32(l.PIDs), NoFile: uint32(l.OpenFiles),
		// A backstop inside, in whole seconds; the host's watch is exact.
		CPUSeconds: uint32((l.CPUTime + time.Second - 1) / time.Second),
	}
	if r.Cwd == "" {
		r.Cwd = api.WorkDir
	}
	if r.Env == nil {
		r.Env = map[string]string{}
	}
	maps.Copy(r.Env, s.env)
	maps.Copy(r.Env, spec.Env)
	switch {
	case spec.Root:
		r.Flags |= guest.ExecRoot
	case spec.User != nil:
		r.Flags |= guest.ExecAs
		r.UID, r.GID = spec.User.UID, spec.User.GID
	}
	if spec.Keep {
		r.Flags |= guest.ExecKeep
	}
	if t := spec.Terminal; t != nil {
		r.Flags |= guest.ExecTerminal
		r.Rows, r.Cols = uint32(t.Rows), uint32(t.Cols)
	}
	if spec.Script == "" {
		return r, nil
	}
	script := insidePath(spec.Script)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warm != "" && !spec.Root && spec.User == nil && (spec.Language == "" || spec.Language == s.warm) && !configuresInterpreter(spec.Env) {
		r.Flags, r.Argv = guest.ExecWarm, []string{script}
		if !s.reuse {
			s.warm = "" // it runs the script in place and ends with it
		}
		return r, nil
	}
	language, ok := s.template.Languages[spec.Language]
	if !ok {
		return r, noLanguage(s.template, spec.Language)
	}
	r.Argv = append(slices.Clone(language.Argv), fromCwd(insidePath(r.Cwd), script))
	return r, nil
}

// configuresInterpreter: variables that Python reads when it starts have no effect
// on one that has started, so a program that sets one gets a cold interpreter.
func configuresInterpreter(env map[string]string) bool {
	for k := range env {
		if strings.HasPrefix(k, "PYTHON") {
			return true
		}
	}
	return false
}

// fromCwd names a file by its path from the working directory when it is below
// it: that is right also in a box without a root of its own (the rung process),
// whose /work is only the guest agent's name for a directory.
func fromCwd(cwd, file string) string {
	if below, ok := strings.CutPrefix(file, strings.TrimSuffix(cwd, "/")+"/"); ok && below[0] != '-' {
		return below
	}
	return file
}

// run has the guest run the program while the limits are watched, and returns
// when both are over.
func (x *execution) run(ctx context.Context, io Stdio) (guest.ExitReport, error) {
	x.out = &outputCap{limit: x.limits.OutputBytes, first: &x.first}
	x.before = x.s.usage()
	x.began = time.Now()
	// The watch ends the box when ctx ends, and only then the call: so that a
	// verdict is never given for a program that still runs.
	within, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { x.watch(ctx, ended, cut) })
	report, err := x.s.client.Exec(within, x.request, guest.Streams{
		Stdin: io.Stdin, Stdout: x.out.writer(io.Stdout), Stderr: x.out.writer(io.Stderr),
	})
	if streamsFailed(err) {
		x.first.record(stopStreams) // unless the output cap was what failed
	} else if err == nil {
		x.first.record(stopNone)
	}
	close(ended)
	watch.Wait()
	return report, err
}

func streamsFailed(err error) bool {
	var w *guest.WriterError
	var r *guest.ReaderError
	return errors.As(err, &w) || errors.As(err, &r)
}

// result collects the evidence and has it judged. A box that is of no more use
// is destroyed, after its usage was read.
func (x *execution) result(ctx context.Context, report guest.ExitReport, err error) (api.ExecResult, error) {
	s := x.s
	var refused *api.Error
	if x.first.reason() == stopNone && errors.As(err, &refused) {
		return api.ExecResult{}, err // the request was never sent
	}
	o := x.outcome(report, err)
	if err != nil || o.Stop != stopNone {
		s.discard(ctx)
	}
	return judge(o)
}

// outcome collects the evidence.
func (x *execution) outcome(report guest.ExitReport, err error) outcome {
	s := x.s
	o := outcome{
		Err: err, OwnKernel: s.driver.Rung().AtLeast(api.RungGVisor), Shared: s.session,
		Limits: x.limits, TTL: s.lifetime(), Wall: time.Since(x.began), Output: x.out.n,
	}
	if err == nil {
		o.Report = &report
	} else if x.first.reason() == stopNone {
		o.Death = s.lost()
		x.first.record(stopNone) // unless the sandbox was destroyed meanwhile
	}
	o.Stop = x.first.reason()
	o.Usage = since(x.before, s.usage())
	return o
}

// since is what was used from one reading to the next. A peak is the box's.
func since(before, after driver.Usage) driver.Usage {
	after.CPU = max(0, after.CPU-before.CPU)
	after.OOMKills = max(0, after.OOMKills-before.OOMKills)
	after.ForkRefused = max(0, after.ForkRefused-before.ForkRefused)
	after.DiskRefused = max(0, after.DiskRefused-before.DiskRefused)
	return after
}
