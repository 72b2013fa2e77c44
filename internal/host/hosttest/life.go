package hosttest

import (
	"bytes"
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// wantGone checks that nothing can be done with a sandbox any more, and that
// destroying it again is fine.
func (s *suite) wantGone(t *testing.T, box host.Sandbox) {
	t.Helper()
	_, err := box.Exec(s.ctx, api.ExecSpec{Argv: s.Programs.True}, host.Stdio{})
	wantCode(t, "exec in a sandbox that is gone", err, api.CodeConflict)
	wantCode(t, "put", box.Put(s.ctx, "x", 0o644, strings.NewReader("x")), api.CodeConflict)
	_, err = box.Get(s.ctx, "x", 10, &bytes.Buffer{})
	wantCode(t, "get", err, api.CodeConflict)
	_, err = box.List(s.ctx, "/work", 10)
	wantCode(t, "list", err, api.CodeConflict)
	if err := box.Destroy(s.ctx); err != nil {
		t.Errorf("destroy: %v", err)
	}
	for _, info := range s.host.List() {
		if info.ID == box.Info().ID {
			t.Errorf("it is still in the list: %+v", info)
		}
	}
}

// The deadline is kept whatever the sandbox does, and nobody has to ask.
func (s *suite) testTTL(t *testing.T) {
	brief := func(spec *api.SandboxSpec) { spec.TTL = 200 * time.Millisecond }
	box := s.create(t, brief)
	r := s.run(t, box, api.ExecSpec{Argv: s.Programs.Hang, Timeout: 30 * time.Second}, "")
	want(t, r, api.Timeout)
	if r.Evidence.LimitName != "ttl" || r.Evidence.Limit != 200 {
		t.Errorf("evidence %+v", r.Evidence)
	}
	s.wantGone(t, box)

	s.create(t, brief)
	for len(s.host.List()) > 0 { // the test's context bounds it
		select {
		case <-s.ctx.Done():
			t.Fatal("an idle sandbox outlived its ttl")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *suite) testFiles(t *testing.T) {
	box := s.create(t)
	content := bytes.Repeat([]byte{0, 0xff, '\n', 'x'}, 50_000)
	if err := box.Put(s.ctx, "deep/er/in.bin", 0o600, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	info, err := box.Get(s.ctx, "/work/deep/er/in.bin", int64(len(content)), &out)
	if err != nil || !bytes.Equal(out.Bytes(), content) {
		t.Fatalf("get: %v; %d bytes", err, out.Len())
	}
	if info.Kind != api.FileRegular || info.Size != int64(len(content)) || info.Path != "/work/deep/er/in.bin" {
		t.Errorf("info %+v", info)
	}
	want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.Leave}, ""), api.OK)
	out.Reset()
	if _, err := box.Get(s.ctx, "left.txt", 10, &out); err != nil || out.String() != "left" {
		t.Errorf("what a program left: %q, %v", out.String(), err)
	}
	list, err := box.List(s.ctx, "", 10)
	if err != nil || len(list) != 2 {
		t.Fatalf("list: %+v, %v", list, err)
	}
	s.testBadFiles(t, box)
}

func (s *suite) testBadFiles(t *testing.T, box host.Sandbox) {
	want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.Link}, ""), api.OK)
	for _, tt := range []struct {
		name, path string
		max        int64
		code       api.Code
		says       string
	}{
		{"missing", "no/such", 10, api.CodeNotFound, "no such file"},
		{"too large", "left.txt", 3, api.CodeInvalid, "larger than 3B"},
		{"a directory", "deep", 10, api.CodeInvalid, "directory"},
		{"a symbolic link", "link", 10, api.CodeInvalid, "symbolic link"},
	} {
		var out bytes.Buffer
		_, err := box.Get(s.ctx, tt.path, tt.max, &out)
		wantCode(t, tt.name, err, tt.code)
		if err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %q does not say %q", tt.name, err, tt.says)
		}
		if int64(out.Len()) > tt.max {
			t.Errorf("%s: %d bytes came, at most %d may", tt.name, out.Len(), tt.max)
		}
	}
	_, err := box.List(s.ctx, "no/such", 10)
	wantCode(t, "list what is missing", err, api.CodeNotFound)
}

func (s *suite) testReset(t *testing.T) {
	once := s.create(t)
	wantCode(t, "reset of a sandbox for one program", once.Reset(s.ctx), api.CodeUnsupported)

	box := s.create(t, func(spec *api.SandboxSpec) { spec.Reuse = true })
	want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.Leave}, ""), api.OK)
	switch err := box.Reset(s.ctx); {
	case api.CodeOf(err) == api.CodeUnsupported && err != nil:
		t.Skipf("this host's sandboxes can't be reset: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	_, err := box.Get(s.ctx, "left.txt", 10, &bytes.Buffer{})
	wantCode(t, "what the program before left", err, api.CodeNotFound)
	want(t, s.run(t, box, api.ExecSpec{Argv: s.Programs.True}, ""), api.OK)
}

// Destroying works more than once, at once, and for a caller that has gone away.
func (s *suite) testDestroy(t *testing.T) {
	gone, cancel := context.WithCancel(s.ctx)
	cancel()
	box := s.create(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := box.Destroy(gone); err != nil {
				t.Errorf("destroy: %v", err)
			}
		})
	}
	all.Wait()
	s.wantGone(t, box)
}

func (s *suite) testDestroyEndsPrograms(t *testing.T) {
	box := s.create(t)
	wait := s.startHang(s.ctx, t, box)
	if err := box.Destroy(s.ctx); err != nil {
		t.Fatal(err)
	}
	res, err := wait()
	if err != nil || res.Verdict != api.Cancelled {
		t.Errorf("%s, %v; want cancelled", res.Verdict, err)
	}
	s.wantGone(t, box)
}

func (s *suite) testInfo(t *testing.T) {
	spec := s.spec(func(spec *api.SandboxSpec) { spec.Limits.PIDs, spec.TTL = 77, time.Hour })
	box, err := s.host.Create(s.ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	info := box.Info()
	if info.ID == "" || info.State != "running" || info.Template != spec.Template || info.Isolation == "" || info.Driver == "" {
		t.Errorf("info %+v", info)
	}
	if info.Limits.PIDs != 77 || info.Limits.MemoryBytes != api.DefaultLimits().MemoryBytes {
		t.Errorf("limits %+v, want those asked for and the defaults", info.Limits)
	}
	if got := info.Deadline.Sub(info.CreatedAt); got != time.Hour {
		t.Errorf("the deadline is %s after creation", got)
	}
	list := s.host.List()
	if len(list) != 1 || !reflect.DeepEqual(list[0], info) {
		t.Errorf("list %+v", list)
	}
}

// Many at once, more than fit: each has its own id, files and output.
func (s *suite) testConcurrent(t *testing.T) {
	const n = 40
	var ids sync.Map
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			box, err := s.host.Create(s.ctx, s.spec(func(spec *api.SandboxSpec) { spec.Trust = string(rune('a' + i%3)) }))
			if err != nil {
				t.Errorf("create: %v", err)
				return
			}
			defer box.Destroy(s.ctx)
			if _, twice := ids.LoadOrStore(box.Info().ID, true); twice {
				t.Errorf("two sandboxes have the id %s", box.Info().ID)
			}
			mine := strings.Repeat(string(rune('A'+i%26)), 10+i)
			var out bytes.Buffer
			res, err := box.Exec(s.ctx, api.ExecSpec{Argv: s.Programs.Echo}, host.Stdio{Stdin: strings.NewReader(mine), Stdout: &out})
			if err != nil || res.Verdict != api.OK || out.String() != mine {
				t.Errorf("%v, %v, %q; want %q", res.Verdict, err, out.String(), mine)
			}
		})
	}
	all.Wait()
}

func (s *suite) testBadCreate(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*api.SandboxSpec)
		code   api.Code
	}{
		"no template":          {func(s *api.SandboxSpec) { s.Template = "" }, api.CodeInvalid},
		"unknown template":     {func(s *api.SandboxSpec) { s.Template = "brig-no-such-template" }, api.CodeNotFound},
		"unknown isolation":    {func(s *api.SandboxSpec) { s.Isolation = "castle" }, api.CodeInvalid},
		"rung without driver":  {func(s *api.SandboxSpec) { s.Isolation = "confidential" }, api.CodeUnavailable},
		"too little memory":    {func(s *api.SandboxSpec) { s.Limits.MemoryBytes = 1 }, api.CodeInvalid},
		"more memory than all": {func(s *api.SandboxSpec) { s.Limits.MemoryBytes = 1 << 50 }, api.CodeExhausted},
		"more cpus than all":   {func(s *api.SandboxSpec) { s.Limits.CPUs = 1024 }, api.CodeExhausted},
		"a negative ttl":       {func(s *api.SandboxSpec) { s.TTL = -1 }, api.CodeInvalid},
		"a bad hostname":       {func(s *api.SandboxSpec) { s.Hostname = "a/b" }, api.CodeInvalid},
	} {
		_, err := s.host.Create(s.ctx, s.spec(tt.change))
		wantCode(t, name, err, tt.code)
		if err != nil && api.FixOf(err) == "" {
			t.Errorf("%s: %q has no fix", name, err)
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.host.Create(ctx, s.spec())
	wantCode(t, "a cancelled context", err, api.CodeCancelled)
	if list := s.host.List(); len(list) > 0 {
		t.Errorf("sandboxes after failed creates: %+v", list)
	}
}

func (s *suite) testClose(t *testing.T) {
	box := s.create(t)
	wait := s.startHang(s.ctx, t, box)
	gone, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := s.host.Close(gone); err != nil {
		t.Errorf("close: %v", err)
	}
	res, err := wait()
	if err != nil || res.Verdict != api.Cancelled {
		t.Errorf("%s, %v; want cancelled", res.Verdict, err)
	}
	s.wantGone(t, box)
	_, err = s.host.Create(s.ctx, s.spec())
	wantCode(t, "create after close", err, api.CodeUnavailable)
}
