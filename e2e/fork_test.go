package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/interpreter"
	"github.com/brigdev/brig/internal/snapshot"
)

const (
	children = 64
	// clockOff is how far a child's clock may be from the host's.
	clockOff = 50 * time.Millisecond
)

// draws prints one value of each source that a Python program may draw from, and
// the time.
const draws = `
import numpy, os, random, secrets, ssl, tempfile, time, uuid
print("random", random.random())
print("numpy.random", numpy.random.random())
print("uuid", uuid.uuid4())
print("uuid1", uuid.uuid1())
print("secrets", secrets.token_hex(16))
print("os.urandom", os.urandom(16).hex())
print("openssl", ssl.RAND_bytes(16).hex())
print("tempfile", os.path.basename(tempfile.mktemp()))
print("proc", open("/proc/sys/kernel/random/uuid").read().strip())
print("clock", time.time_ns())
print("monotonic", time.monotonic_ns())
print("env", os.environ.get("CHILD", ""))
`

// identity prints what tells a sandbox from its siblings, and draws from programs
// that start after the fork.
const identity = `
echo hostname $(hostname)
echo etc-hostname $(cat /etc/hostname)
echo machine-id $(cat /etc/machine-id)
echo new-proc $(cat /proc/sys/kernel/random/uuid)
echo new-openssl $(openssl rand -hex 16)
echo env $CHILD
echo sums $(cd / && sha256sum work/before home/user/before tmp/before dev/shm/before | sha256sum)
echo after $(ls /work/after /home/user/after /tmp/after /dev/shm/after 2>/dev/null)
echo mine $(cat /work/mine 2>/dev/null)
[ -z "$CHILD" ] || echo $CHILD >/work/mine
echo clock $(date +%s%N)
`

// sources are what no two of them may have in common; each child has them all.
var sources = []string{
	"random", "numpy.random", "uuid", "uuid1", "secrets", "os.urandom", "openssl", "tempfile", "proc",
	"new-proc", "new-openssl", "hostname", "machine-id",
}

// TestFork forks one warm Python session into 64 children by one snapshot, and
// looks at what docs/fork-correctness.md says of them.
func TestFork(t *testing.T) {
	a := openApp(t, 0)
	defer a.Close()
	f := &fork{a: a, store: openStore(t), parent: newSession(t, a, sessionSpec()), drawn: map[string]string{}}
	var err error
	if f.kernel, err = interpreter.Open(t.Context(), f.parent, "python", interpreter.Options{}); err != nil {
		t.Fatal(err)
	}
	// All generators are in use, and seeded alike in all children.
	out, err := cell(t.Context(), f.kernel, draws+"random.seed(7); numpy.random.seed(7)")
	if err != nil {
		t.Fatal(err)
	}
	f.monotonic = number(parse(out)["monotonic"])
	before := "for d in /work /home/user /tmp /dev/shm; do head -c 300000 /dev/urandom >$d/before; done;" + identity
	f.sums = parse(execIn(t, f.parent, sh(before)))["sums"]
	f.moment = keepMoment(t, f.store, f.parent, "")
	// What the parent does from here on is no child's business.
	execIn(t, f.parent, sh("for d in /work /home/user /tmp /dev/shm; do echo later >>$d/before; echo later >$d/after; done"))

	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(runtime.NumCPU())
	for i := range children {
		g.Go(func() error {
			if err := f.child(ctx, i); err != nil {
				return fmt.Errorf("child %d: %w", i, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := f.draw(t.Context(), "parent", f.parent, f.kernel); err != nil {
		t.Errorf("the parent, afterwards: %v", err)
	}
	if want := (children + 1) * len(sources); len(f.drawn) != want {
		t.Errorf("%d different values, want %d", len(f.drawn), want)
	}
}

// fork is one moment of a parent, and what its children showed.
type fork struct {
	a         *app.App
	store     *snapshot.Store
	parent    host.Session
	kernel    *interpreter.Kernel
	moment    api.Snapshot
	sums      string // of the files that were there
	monotonic int64  // the clock that never goes back, before the fork

	mu    sync.Mutex
	drawn map[string]string // "source value": who has it
}

// child restores one, has it show what it is, and destroys it.
func (f *fork) child(ctx context.Context, i int) error {
	name := "child-" + strconv.Itoa(i)
	env := map[string]string{"CHILD": name}
	box, err := restore(ctx, f.a, f.store, f.moment, env)
	if err != nil {
		return err
	}
	defer box.Destroy(context.WithoutCancel(ctx))
	k, err := interpreter.Resume(ctx, box, f.kernel.Ref(), interpreter.Options{Env: env})
	if err != nil {
		return err
	}
	defer k.Close(context.WithoutCancel(ctx))
	if err := f.draw(ctx, name, box, k); err != nil {
		return err
	}
	// The parent answers all the while.
	if out, err := outputOf(ctx, f.parent, sh("echo "+name)); err != nil || out != name {
		return fmt.Errorf("the parent says %q, %w", out, err)
	}
	return box.Destroy(ctx)
}

// draw has the warm kernel and new programs of a sandbox show what they have.
func (f *fork) draw(ctx context.Context, who string, box host.Session, k *interpreter.Kernel) error {
	warm, err := timed(func() (string, error) { return cell(ctx, k, draws) })
	if err != nil {
		return err
	}
	fresh, err := timed(func() (string, error) { return outputOf(ctx, box, sh(identity)) })
	if err != nil {
		return err
	}
	if err := f.check(who, warm, fresh); err != nil {
		return err
	}
	maps.Copy(warm, fresh)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, source := range sources {
		value := source + " " + warm[source]
		if other := f.drawn[value]; other != "" || warm[source] == "" {
			return fmt.Errorf("it has %q, as %q", value, other)
		}
		f.drawn[value] = who
	}
	return nil
}

// check looks at all that is not a draw.
func (f *fork) check(who string, warm, fresh map[string]string) error {
	switch {
	case number(warm["monotonic"]) < f.monotonic:
		return fmt.Errorf("its monotonic clock went back from %d to %s", f.monotonic, warm["monotonic"])
	case fresh["hostname"] != fresh["etc-hostname"]:
		return fmt.Errorf("it has the names %q and %q", fresh["hostname"], fresh["etc-hostname"])
	case !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(fresh["machine-id"]):
		return fmt.Errorf("its machine id is %q", fresh["machine-id"])
	case fresh["mine"] != "":
		return fmt.Errorf("it has the file of %s", fresh["mine"])
	case who == "parent":
		return nil
	case fresh["sums"] != f.sums:
		return fmt.Errorf("its files have changed")
	case fresh["after"] != "":
		return fmt.Errorf("it has files of later: %s", fresh["after"])
	case fresh["env"] != who || warm["env"] != who:
		return fmt.Errorf("its environment has %q and %q", fresh["env"], warm["env"])
	}
	return nil
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // 0 is no time
	return n
}

// cell runs a cell that has to succeed, and gives its output.
func cell(ctx context.Context, k *interpreter.Kernel, code string) (string, error) {
	r, err := k.Run(ctx, code, interpreter.RunOptions{})
	if err == nil && (r.Error != nil || r.TimedOut || r.Restarted) {
		err = fmt.Errorf("the cell ended with %+v", r)
	}
	return r.Stdout, err
}

// timed runs something that prints the time of its sandbox, and compares that with
// the host's before and after.
func timed(f func() (string, error)) (map[string]string, error) {
	before := time.Now()
	out, err := f()
	after := time.Now()
	if err != nil {
		return nil, err
	}
	said := parse(out)
	if at := time.Unix(0, number(said["clock"])); at.Before(before.Add(-clockOff)) || at.After(after.Add(clockOff)) {
		return nil, fmt.Errorf("its clock says %s between %s and %s", at, before, after)
	}
	return said, nil
}

// parse reads lines of a key and a value.
func parse(out string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		m[key] = value
	}
	return m
}

func sh(script string) api.ExecSpec { return api.ExecSpec{Argv: []string{"sh", "-c", script}} }

// outputOf runs a program that has to succeed, and gives its output.
func outputOf(ctx context.Context, box host.Session, spec api.ExecSpec) (string, error) {
	var out, stderr bytes.Buffer
	r, err := box.Exec(ctx, spec, host.Stdio{Stdout: &out, Stderr: &stderr})
	if err == nil && r.Verdict != api.OK {
		err = fmt.Errorf("%s: %s", r.Verdict, stderr.String())
	}
	return strings.TrimSpace(out.String()), err
}
