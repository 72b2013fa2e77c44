package host_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/host/hosttest"
)

// newFake is a fake driver that claims to be gVisor, so that the default floor
// admits it.
func newFake(fault func(n int, spec driver.BoxSpec) fake.Fault) *fake.Driver {
	return fake.New(fake.Options{Rung: api.RungGVisor, Fault: fault})
}

// rig is a Manager over a fake driver, and what it works with.
type rig struct {
	*host.Manager
	driver    *fake.Driver
	templates *hosttest.Templates
	stateDir  string
}

func newRig(t *testing.T, d *fake.Driver, change ...func(*host.Config)) rig {
	t.Helper()
	r := rig{driver: d, templates: hosttest.NewTemplates(t), stateDir: t.TempDir()}
	cfg := host.Config{
		Drivers: []driver.Driver{d}, Templates: r.templates, StateDir: r.stateDir,
		MemoryBytes: 8 << 30, CPUs: 2, MaxStarts: 2,
	}
	for _, c := range change {
		c(&cfg)
	}
	m, err := host.NewManager(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	r.Manager = m
	return r
}

// left lists what is on this "machine": boxes, journal records, directories.
func (r rig) left(t *testing.T) []string {
	t.Helper()
	left, err := r.driver.Leftovers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	records, err := host.ListAll(r.stateDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range records {
		left = append(left, "record "+info.ID)
	}
	return left
}

// leftAfterClose is left and the directories of owners, of which a Manager that
// was closed has none.
func (r rig) leftAfterClose(t *testing.T) []string {
	t.Helper()
	left := r.left(t)
	entries, err := os.ReadDir(r.stateDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "gc.lock" {
			left = append(left, e.Name())
		}
	}
	return left
}

func spec() api.SandboxSpec { return api.SandboxSpec{Template: "fake"} }

func warmSpec() api.SandboxSpec { return api.SandboxSpec{Template: "fake", Warm: "python"} }

func TestContract(t *testing.T) {
	for name, change := range map[string]func(*host.Config){
		"plain":  func(*host.Config) {},
		"pooled": func(c *host.Config) { c.PoolSize = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			var current rig
			hosttest.Run(t, hosttest.Subject{
				New: func(t *testing.T) host.Host {
					current = newRig(t, newFake(nil), change)
					return current
				},
				Left:     func(t *testing.T) []string { return current.leftAfterClose(t) },
				Spec:     spec(),
				Language: "shell",
				Programs: hosttest.Fake(),
			})
		})
	}
}

// run runs a script in the sandbox's language.
func run(t *testing.T, box host.Sandbox, spec api.ExecSpec, script string) (api.ExecResult, string) {
	t.Helper()
	if script != "" {
		spec.Script = "run.py"
		if err := box.Put(t.Context(), "run.py", 0o644, strings.NewReader(script)); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	res, err := box.Exec(t.Context(), spec, host.Stdio{Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	return res, out.String()
}

// A warm interpreter runs one program, a reusable one runs them all, and other
// languages are run cold.
func TestWarm(t *testing.T) {
	r := newRig(t, newFake(nil))
	for _, tt := range []struct {
		name string
		spec api.SandboxSpec
		want []string // modes of consecutive programs
	}{
		{"cold", spec(), []string{"cold\n", "cold\n"}},
		{"a language that is not warm", api.SandboxSpec{Template: "fake", Warm: "shell"}, []string{"cold\n"}},
		{"oneshot", warmSpec(), []string{"warm\n", "cold\n"}},
		{"session", api.SandboxSpec{Template: "fake", Warm: "python", Reuse: true}, []string{"warm\n", "warm\n", "warm\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			box, err := r.Create(t.Context(), tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			defer box.Destroy(t.Context())
			if got, want := box.Info().Restored, tt.want[0] == "warm\n"; got != want {
				t.Errorf("restored: %v, want %v", got, want)
			}
			for i, want := range tt.want {
				if _, got := run(t, box, api.ExecSpec{Language: "python"}, "mode"); got != want {
					t.Errorf("program %d ran %q, want %q", i, got, want)
				}
			}
			if _, got := run(t, box, api.ExecSpec{Language: "shell"}, "mode"); got != "cold\n" {
				t.Errorf("another language ran %q", got)
			}
		})
	}
}

// Clones of one snapshot draw different numbers: each got its own entropy.
func TestEntropy(t *testing.T) {
	r := newRig(t, newFake(nil), func(c *host.Config) { c.PoolSize = 2 })
	seen := map[string]bool{}
	for range 20 {
		box, err := r.Create(t.Context(), warmSpec())
		if err != nil {
			t.Fatal(err)
		}
		_, drawn := run(t, box, api.ExecSpec{Language: "python"}, "random")
		if seen[drawn] {
			t.Fatalf("%s was drawn twice", drawn)
		}
		seen[drawn] = true
		box.Destroy(t.Context())
	}
}

// A platform that breaks under a program is an error, never the program's fault.
func TestInfra(t *testing.T) {
	r := newRig(t, newFake(nil))
	for script, says := range map[string]string{
		"die of boredom": "die of boredom",
		"lie garbage":    "broke the protocol",
		"lie length":     "broke the protocol",
	} {
		box, err := r.Create(t.Context(), spec())
		if err != nil {
			t.Fatal(err)
		}
		res, err := box.Exec(t.Context(), api.ExecSpec{Argv: []string{"sh", "-c", script}}, host.Stdio{})
		if api.CodeOf(err) != api.CodeInternal || res.Verdict != "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %s, %v", script, res.Verdict, err)
		}
	}
	if left := r.left(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// The kernel's word on memory, and a guest that stops to answer.
func TestEvidence(t *testing.T) {
	r := newRig(t, newFake(nil))
	for script, want := range map[string]api.Verdict{
		"oom":               api.OOM,
		"oom box":           api.OOM,
		"mute\nexit 0":      api.Timeout,
		"cpu 300ms\nhang":   api.CPUTime,
		"cpu 100ms\nexit 2": api.Nonzero,
	} {
		box, err := r.Create(t.Context(), spec())
		if err != nil {
			t.Fatal(err)
		}
		res, err := box.Exec(t.Context(), api.ExecSpec{Argv: []string{"sh", "-c", script}, Timeout: 500 * time.Millisecond, CPUTime: 200 * time.Millisecond}, host.Stdio{})
		if err != nil || res.Verdict != want {
			t.Errorf("%q: %s, %v; want %s", script, res.Verdict, err, want)
		}
		box.Destroy(t.Context())
	}
}

// However a start fails, nothing is left, and the next one works.
func TestFailedStarts(t *testing.T) {
	broken := errors.New("the kernel said no")
	for name, fault := range map[string]fake.Fault{
		"create fails":            {Create: broken},
		"the guest lies":          {Lie: fake.LieGarbage},
		"the guest dies at once":  {DieAfter: time.Nanosecond, Mute: true},
		"and destroy fails, once": {Lie: fake.LieType, Destroy: broken},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, newFake(func(n int, _ driver.BoxSpec) fake.Fault {
				if n == 1 {
					return fault
				}
				return fake.Fault{}
			}))
			if _, err := r.Create(t.Context(), spec()); api.CodeOf(err) != api.CodeInternal {
				t.Errorf("create: %v, want an internal error", err)
			}
			// What resists is tried again after a second, if not at once.
			for len(r.left(t)) > 0 && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			if _, err := r.Create(t.Context(), spec()); err != nil {
				t.Errorf("the next create: %v", err)
			}
		})
	}
}

// A box that can't be destroyed stays in the journal, where recovery finds it
// when the process that made it is gone.
func TestFailedDestroy(t *testing.T) {
	broken := errors.New("the kernel said no")
	fault := fake.Fault{Destroy: broken}
	r := newRig(t, newFake(func(int, driver.BoxSpec) fake.Fault { return fault }))
	box, err := r.Create(t.Context(), spec())
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Destroy(t.Context()); api.CodeOf(err) != api.CodeInternal || !strings.Contains(err.Error(), "the kernel said no") {
		t.Fatalf("destroy: %v", err)
	}
	if list, _ := host.ListAll(r.stateDir); len(list) != 1 {
		t.Errorf("the journal has %v", list)
	}
	if _, err := box.Exec(t.Context(), api.ExecSpec{Argv: []string{"true"}}, host.Stdio{}); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("exec in a half-destroyed sandbox: %v", err)
	}
	if err := box.Destroy(t.Context()); err != nil {
		t.Errorf("the second destroy: %v", err)
	}
	if left := r.left(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}

	if _, err = r.Create(t.Context(), spec()); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(t.Context()); err == nil {
		t.Error("close did not say that a box is left")
	}
	if list, _ := host.ListAll(r.stateDir); len(list) != 1 || list[0].State != "orphan" {
		t.Errorf("after close: %+v, want an orphan", list)
	}
	report, err := host.Recover(t.Context(), r.stateDir, []driver.Driver{r.driver}, false, discard())
	if err != nil || report.Removed() != 1 {
		t.Errorf("recover: %+v, %v", report, err)
	}
	if left := r.left(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A driver that can't run here says why, also when it was not probed before.
func TestUnavailable(t *testing.T) {
	d := fake.New(fake.Options{Rung: api.RungGVisor, Unavailable: "user namespaces are off"})
	r := newRig(t, d)
	_, err := r.Create(t.Context(), spec())
	if api.CodeOf(err) != api.CodeUnavailable || !strings.Contains(err.Error(), "user namespaces are off") || api.FixOf(err) == "" {
		t.Errorf("create: %v (fix %q)", err, api.FixOf(err))
	}
	if left := r.left(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// The strongest rung that works is taken, and named in the sandbox's record.
func TestChoosesDriver(t *testing.T) {
	vm := fake.New(fake.Options{Name: "vm", Rung: api.RungMicroVM, Unavailable: "there is no /dev/kvm"})
	gv := newFake(nil)
	raw := fake.New(fake.Options{Name: "raw", Rung: api.RungProcess})
	r := newRig(t, gv, func(c *host.Config) { c.Drivers = []driver.Driver{raw, vm, gv} })
	box, err := r.Create(t.Context(), spec())
	if err != nil {
		t.Fatal(err)
	}
	if info := box.Info(); info.Isolation != api.RungGVisor || info.Driver != "fake" {
		t.Errorf("took %s, %s", info.Isolation, info.Driver)
	}
	for want, says := range map[string]string{"microvm": "there is no /dev/kvm", "process": "--unsafe-no-isolation"} {
		s := spec()
		s.Isolation = want
		_, err := r.Create(t.Context(), s)
		if text := err.Error() + api.FixOf(err); api.CodeOf(err) != api.CodeUnavailable || !strings.Contains(text, says) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if raw.Creates() > 0 {
		t.Error("a box without isolation was made")
	}
}

// The record exists before the box does, and says what it will be.
func TestJournalComesFirst(t *testing.T) {
	var r rig
	var before []api.SandboxInfo
	d := newFake(func(_ int, spec driver.BoxSpec) fake.Fault {
		list, err := host.ListAll(r.stateDir)
		if err != nil {
			t.Error(err)
		}
		before = list
		if !slices.ContainsFunc(list, func(i api.SandboxInfo) bool { return i.ID == spec.ID }) {
			t.Errorf("box %s is made and not in the journal", spec.ID)
		}
		return fake.Fault{}
	})
	r = newRig(t, d)
	box, err := r.Create(t.Context(), spec())
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != 1 || before[0].State != "creating" || before[0].OwnerPID != os.Getpid() {
		t.Errorf("before: %+v", before)
	}
	after, err := host.ListAll(r.stateDir)
	if err != nil || len(after) != 1 || after[0].State != "running" || !after[0].Deadline.Equal(box.Info().Deadline) {
		t.Errorf("after: %+v, %v", after, err)
	}
}

// What else may go wrong with files has its code and a fix.
func TestFileErrors(t *testing.T) {
	r := newRig(t, newFake(nil))
	s := spec()
	s.Limits.DiskBytes = 1 << 20
	box, err := r.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		err  error
		code api.Code
		says string
	}{
		"a full disk":     {box.Put(t.Context(), "big", 0o644, strings.NewReader(strings.Repeat("x", 1<<20+1))), api.CodeInvalid, "--disk"},
		"a failed reader": {box.Put(t.Context(), "x", 0o644, iotest.ErrReader(errors.New("it broke"))), api.CodeInvalid, "it broke"},
		"a cancelled put": {box.Put(gone, "x", 0o644, strings.NewReader("x")), api.CodeCancelled, "put /work/x"},
		"a name too long": {box.Put(t.Context(), strings.Repeat("x", 300<<10), 0o644, strings.NewReader("x")), api.CodeInvalid, "limit"},
	} {
		if api.CodeOf(tt.err) != tt.code || !strings.Contains(tt.err.Error()+api.FixOf(tt.err), tt.says) {
			t.Errorf("%s: %v (fix %q), want %s with %q", name, tt.err, api.FixOf(tt.err), tt.code, tt.says)
		}
	}
}

// A sandbox that could not be made clean is no place for another program.
func TestResetThatFails(t *testing.T) {
	r := newRig(t, newFake(nil))
	s := spec()
	s.Reuse = true
	box, err := r.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := box.Reset(gone); api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("reset: %v", err)
	}
	if left := r.left(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A box that another part of this process makes is in the journal like our own.
func TestJournalBox(t *testing.T) {
	r := newRig(t, newFake(nil))
	done, err := r.JournalBox(driver.Handle{Driver: "fake", ID: "bake-1"})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := host.ListAll(r.stateDir); err != nil || len(list) != 1 || list[0].ID != "bake-1" || list[0].Driver != "fake" {
		t.Errorf("%+v, %v", list, err)
	}
	done()
	if list, err := host.ListAll(r.stateDir); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	r.Close(t.Context())
	if _, err := r.JournalBox(driver.Handle{ID: "bake-2"}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("after close: %v", err)
	}
}

func TestBadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := host.Config{StateDir: t.TempDir(), Templates: hosttest.NewTemplates(t)}
	for name, tt := range map[string]struct {
		change func(*host.Config)
		code   api.Code
	}{
		"no state directory":       {func(c *host.Config) { c.StateDir = "" }, api.CodeInvalid},
		"no templates":             {func(c *host.Config) { c.Templates = nil }, api.CodeInvalid},
		"negative":                 {func(c *host.Config) { c.MaxStarts = -1 }, api.CodeInvalid},
		"a state directory's file": {func(c *host.Config) { c.StateDir = file }, api.CodeUnavailable},
	} {
		cfg := good
		tt.change(&cfg)
		if _, err := host.NewManager(cfg); api.CodeOf(err) != tt.code || api.FixOf(err) == "" {
			t.Errorf("%s: %v (fix %q)", name, err, api.FixOf(err))
		}
	}
}

// What a Manager adds to a box: admission, journal, greeting, exec, destruction.
func BenchmarkSandbox(b *testing.B) {
	m, err := host.NewManager(host.Config{
		Drivers: []driver.Driver{newFake(nil)}, Templates: &hosttest.Templates{}, StateDir: b.TempDir(), MemoryBytes: 8 << 30, CPUs: 4,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close(b.Context())
	for b.Loop() {
		box, err := m.Create(b.Context(), spec())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := box.Exec(b.Context(), api.ExecSpec{Argv: []string{"true"}}, host.Stdio{}); err != nil {
			b.Fatal(err)
		}
		if err := box.Destroy(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
