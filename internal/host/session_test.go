package host_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
)

func sessionSpec() api.SandboxSpec {
	s := spec()
	s.Session = true
	return s
}

func newSession(t *testing.T, h host.Host, change ...func(*api.SandboxSpec)) host.Session {
	t.Helper()
	s := sessionSpec()
	for _, c := range change {
		c(&s)
	}
	box, err := h.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return box.(host.Session)
}

func shell(script string) api.ExecSpec { return api.ExecSpec{Argv: []string{"sh", "-c", script}} }

func wantEnd(t *testing.T, box host.Session, reason, says string) {
	t.Helper()
	<-box.Done()
	if got, detail := box.Ended(); got != reason || !strings.Contains(detail, says) {
		t.Errorf("it ended by %q: %q; want %q: %q", got, detail, reason, says)
	}
}

// A session whose box dies is gone without anybody asking, and says why.
func TestSessionDies(t *testing.T) {
	r := newRig(t, newFake(nil))
	for _, tt := range []struct {
		script, says string
		verdict      api.Verdict // "" when it is Brig's failure
	}{
		{"die of boredom", "boredom", ""},
		{"lie garbage", "broke the protocol", ""},
		{"oom box", "more memory than 512MiB", api.OOM},
	} {
		t.Run(tt.script, func(t *testing.T) {
			box := newSession(t, r)
			beside, err := box.Start(t.Context(), shell("hang"), host.Stdio{})
			if err != nil {
				t.Fatal(err)
			}
			res, err := box.Exec(t.Context(), shell(tt.script), host.Stdio{})
			if res.Verdict != tt.verdict || (err == nil) != (tt.verdict != "") {
				t.Errorf("%s, %v; want %q", res.Verdict, err, tt.verdict)
			}
			beside.Wait()
			wantEnd(t, box, "died", tt.says)
			_, err = box.Exec(t.Context(), shell("true"), host.Stdio{})
			if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("exec afterwards: %v", err)
			}
			if left := r.left(t); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// A program that the kernel ended for memory need not be the end of its sandbox.
func TestSessionSurvivesOOM(t *testing.T) {
	box := newSession(t, newRig(t, newFake(nil)))
	for _, tt := range []struct {
		script string
		want   api.Verdict
	}{{"oom", api.OOM}, {"exit 3", api.Nonzero}, {"true", api.OK}} {
		if res, err := box.Exec(t.Context(), shell(tt.script), host.Stdio{}); err != nil || res.Verdict != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.script, res.Verdict, err, tt.want)
		}
	}
}

// A guest that does not report the end of a program that was killed does not keep
// its sandbox.
func TestSessionDisobeys(t *testing.T) {
	r := newRig(t, newFake(nil))
	box := newSession(t, r)
	spec := shell("stdout $\"now\"\nmute\nhang")
	spec.Timeout = 50 * time.Millisecond
	var out strings.Builder
	res, err := box.Exec(t.Context(), spec, host.Stdio{Stdout: &out})
	if err != nil || res.Verdict != api.Timeout || out.String() != "now" {
		t.Errorf("%s, %v, %q", res.Verdict, err, out.String())
	}
	wantEnd(t, box, "died", "did not end when it was killed")
}

// A caller whose writer blocks holds up its own exec, and is not the guest's fault.
func TestSessionSlowWriter(t *testing.T) {
	r := newRig(t, newFake(nil))
	box := newSession(t, r)
	out, stdout := io.Pipe()
	spec := shell("flood")
	spec.Timeout, spec.OutputBytes = 50*time.Millisecond, 1<<40
	p, err := box.Start(t.Context(), spec, host.Stdio{Stdout: stdout})
	if err != nil {
		t.Fatal(err)
	}
	// Longer than a guest has to obey: another box's disobedience measures that.
	slow := newSession(t, r)
	mute := shell("mute\nhang")
	mute.Timeout = 500 * time.Millisecond
	slow.Exec(t.Context(), mute, host.Stdio{})
	wantEnd(t, slow, "died", "did not end")

	if res, err := box.Exec(t.Context(), shell("true"), host.Stdio{}); err != nil || res.Verdict != api.OK {
		t.Errorf("beside it: %s, %v", res.Verdict, err)
	}
	go io.Copy(io.Discard, out)
	if res, err := p.Wait(); err != nil || res.Verdict != api.Timeout {
		t.Errorf("%s, %v; want timeout", res.Verdict, err)
	}
	if reason, detail := box.Ended(); reason != "" {
		t.Errorf("the sandbox ended: %s, %s", reason, detail)
	}
}

// What a session is and how long it may live is in the journal.
func TestSessionJournal(t *testing.T) {
	r := newRig(t, newFake(nil))
	box := newSession(t, r, func(s *api.SandboxSpec) { s.Name, s.Env = "mine", map[string]string{"TOKEN": "secret"} })
	if err := box.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Hour)
	if err := box.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	list, err := host.ListAll(r.stateDir)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	info := list[0]
	if info.State != "paused" || info.Name != "mine" || !info.Session || info.Deadline.Sub(deadline).Abs() > time.Minute {
		t.Errorf("the journal says %+v", info)
	}
	if err := box.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, _ := host.ListAll(r.stateDir); len(list) != 1 || list[0].State != "running" {
		t.Errorf("after Resume it says %+v", list)
	}
}

// boxDriver wraps the boxes of a fake driver.
type boxDriver struct {
	*fake.Driver
	wrap func(driver.Box) driver.Box
}

func (d boxDriver) Create(ctx context.Context, spec driver.BoxSpec) (driver.Box, error) {
	box, err := d.Driver.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return d.wrap(box), nil
}

// brokenKeeper fails to keep its box's memory, and to pause it.
type brokenKeeper struct{ driver.Box }

func (brokenKeeper) Snapshot(context.Context, string, bool) error {
	return errors.New("the disk is on fire")
}
func (brokenKeeper) Pause(context.Context) error  { return errors.New("it does not stop") }
func (brokenKeeper) Resume(context.Context) error { return nil }

// plainBox has nothing but what every box has.
type plainBox struct{ driver.Box }

// A sandbox goes on after a snapshot or a pause that failed, its programs, too.
func TestSnapshotFails(t *testing.T) {
	r := newRig(t, newFake(nil), func(c *host.Config) {
		c.Drivers = []driver.Driver{boxDriver{newFake(nil), func(b driver.Box) driver.Box { return brokenKeeper{b} }}}
	})
	box := newSession(t, r)
	stdin, in := io.Pipe()
	var out bytes.Buffer
	p, err := box.Start(t.Context(), api.ExecSpec{Argv: []string{"cat"}}, host.Stdio{Stdin: stdin, Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	paused, err := box.Snapshot(t.Context(), t.TempDir())
	if api.CodeOf(err) != api.CodeInternal || !strings.Contains(err.Error(), "on fire") || paused <= 0 {
		t.Errorf("snapshot: %v, %v", paused, err)
	}
	if err := box.Pause(t.Context()); api.CodeOf(err) != api.CodeInternal || box.Info().State != "running" {
		t.Errorf("pause: %v; it is %s", err, box.Info().State)
	}
	io.WriteString(in, "it goes on")
	in.Close()
	if res, err := p.Wait(); err != nil || res.Verdict != api.OK || out.String() != "it goes on" {
		t.Errorf("%s, %v, %q", res.Verdict, err, out.String())
	}
}

// A driver without a capability says so, and what would help.
func TestSessionUnsupported(t *testing.T) {
	r := newRig(t, newFake(nil), func(c *host.Config) {
		c.Drivers = []driver.Driver{boxDriver{newFake(nil), func(b driver.Box) driver.Box { return plainBox{b} }}}
	})
	box := newSession(t, r)
	_, err := box.Snapshot(t.Context(), t.TempDir())
	for what, err := range map[string]error{"snapshot": err, "pause": box.Pause(t.Context())} {
		if api.CodeOf(err) != api.CodeUnsupported || api.FixOf(err) == "" {
			t.Errorf("%s: %v, fix %q", what, err, api.FixOf(err))
		}
	}
}

// A clone takes room like any sandbox.
func TestCloneIsAdmitted(t *testing.T) {
	r := newRig(t, newFake(nil), func(c *host.Config) { c.MemoryBytes = 1500 << 20 })
	box := newSession(t, r)
	dir := t.TempDir()
	if _, err := box.Snapshot(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	clone := func(s *api.SandboxSpec) { s.Snapshot = dir }
	first := newSession(t, r, clone)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s := sessionSpec()
	s.Snapshot = dir
	if _, err := r.Create(ctx, s); api.CodeOf(err) != api.CodeCancelled {
		t.Errorf("a third where two fit: %v", err)
	}
	if err := first.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	newSession(t, r, clone)
}
