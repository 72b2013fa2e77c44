package host_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/crashtest"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/host/hosttest"
)

func TestMain(m *testing.M) { crashtest.Main(m, crashChild) }

// crashSteps are where a process may die, in the order in which it meets them.
var crashSteps = []string{
	"create: journalled, nothing made",
	"create: half made",
	"create: made, not yet in the journal",
	"create: not greeted",
	"running",
	"exec",
	"destroy: nothing removed",
	"destroy: removed, still in the journal",
	"destroyed",
	"pool: half made",
	"session: paused",
	"session: amid a snapshot",
	"session: clone half made",
}

// failpoint kills the process when it is armed for step.
type failpoint struct{ armed atomic.Value }

func (f *failpoint) at(step string) {
	if f.armed.Load() == step {
		crashtest.Die()
	}
}

// crashDriver is the fake driver with kernel objects that outlive the process:
// one file a box.
type crashDriver struct {
	*fake.Driver
	objects string
	fail    *failpoint
}

func newCrashDriver(dir string, fail *failpoint) *crashDriver {
	d := fake.New(fake.Options{Name: "crash", Rung: api.RungGVisor})
	return &crashDriver{Driver: d, objects: filepath.Join(dir, "objects"), fail: fail}
}

func (d *crashDriver) Create(ctx context.Context, spec driver.BoxSpec) (driver.Box, error) {
	d.fail.at("create: journalled, nothing made")
	if err := os.WriteFile(filepath.Join(d.objects, spec.ID), nil, 0o600); err != nil {
		return nil, err
	}
	d.fail.at("create: half made")
	if spec.Hostname == "pooled" {
		d.fail.at("pool: half made")
	}
	if spec.Snapshot != "" {
		d.fail.at("session: clone half made")
	}
	box, err := d.Driver.Create(ctx, spec)
	d.fail.at("create: made, not yet in the journal")
	return &crashBox{box, d}, err
}

func (d *crashDriver) Destroy(ctx context.Context, h driver.Handle) error {
	d.fail.at("destroy: nothing removed")
	if err := d.Driver.Destroy(ctx, h); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(d.objects, h.ID)); err != nil && !os.IsNotExist(err) {
		return err
	}
	d.fail.at("destroy: removed, still in the journal")
	return nil
}

func (d *crashDriver) Leftovers(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.objects)
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids, err
}

// crashBox has its driver's failpoints.
type crashBox struct {
	driver.Box
	d *crashDriver
}

func (b *crashBox) Channel() net.Conn {
	b.d.fail.at("create: not greeted")
	return b.Box.Channel()
}

func (b *crashBox) Pause(ctx context.Context) error {
	err := b.Box.(driver.Pauser).Pause(ctx)
	b.d.fail.at("session: paused")
	return err
}

func (b *crashBox) Resume(ctx context.Context) error { return b.Box.(driver.Pauser).Resume(ctx) }

func (b *crashBox) Snapshot(ctx context.Context, dir string, keepRunning bool) error {
	b.d.fail.at("session: amid a snapshot")
	return b.Box.(driver.Snapshotter).Snapshot(ctx, dir, keepRunning)
}

func (b *crashBox) Destroy(ctx context.Context) error { return b.d.Destroy(ctx, b.Handle()) }

func crashManager(dir string, d driver.Driver, pool int) (*host.Manager, error) {
	return host.NewManager(host.Config{
		Drivers: []driver.Driver{d}, Templates: &hosttest.Templates{}, StateDir: filepath.Join(dir, "state"),
		MemoryBytes: 8 << 30, CPUs: 4, PoolSize: pool,
	})
}

// crashChild makes two sandboxes, and then one more that it does not finish.
func crashChild(step, dir string) error {
	fail := &failpoint{}
	pool := 0
	if step == "pool: half made" {
		pool = 2
	}
	m, err := crashManager(dir, newCrashDriver(dir, fail), pool)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for range 2 {
		if _, err := m.Create(ctx, spec()); err != nil {
			return err
		}
	}
	if step == "wait" {
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin) // until the parent kills us
	}
	fail.armed.Store(step)
	if strings.HasPrefix(step, "session") {
		return crashSession(ctx, m, filepath.Join(dir, "snapshot"))
	}
	s := spec()
	if pool > 0 {
		s.Hostname = "pooled"
	}
	box, err := m.Create(ctx, s)
	if err != nil {
		return err
	}
	if pool > 0 {
		select {} // the refill comes
	}
	fail.at("running")
	if _, err := box.Exec(ctx, api.ExecSpec{Argv: []string{"flood"}}, host.Stdio{Stdout: atWrite(func() { fail.at("exec") })}); err != nil {
		return err
	}
	if err := box.Destroy(ctx); err != nil {
		return err
	}
	fail.at("destroyed")
	return nil
}

// crashSession does with a session what a process may die of.
func crashSession(ctx context.Context, m *host.Manager, dir string) error {
	s := sessionSpec()
	box, err := m.Create(ctx, s)
	if err != nil {
		return err
	}
	session := box.(host.Session)
	if err := session.Pause(ctx); err != nil {
		return err
	}
	if err := session.Resume(ctx); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if _, err := session.Snapshot(ctx, dir); err != nil {
		return err
	}
	s.Snapshot = dir
	_, err = m.Create(ctx, s)
	return err
}

// atWrite is a writer that does something when it is used.
type atWrite func()

func (f atWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// crashDir is where a child's kernel objects and state are.
func crashDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCrash(t *testing.T) {
	for _, step := range crashSteps {
		t.Run(step, func(t *testing.T) {
			dir := crashDir(t)
			crashtest.Run(t, step, dir)
			if left := remains(t, dir); len(left) < 3 { // two boxes and the owner, at least
				t.Fatalf("it left only %v", left)
			}
			// The next process cleans up before it does anything else.
			m, err := crashManager(dir, newCrashDriver(dir, &failpoint{}), 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Create(t.Context(), spec()); err != nil {
				t.Error(err)
			}
			if objects, _ := os.ReadDir(filepath.Join(dir, "objects")); len(objects) != 1 {
				t.Errorf("beside our own box there are others: %v", objects)
			}
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if left := remains(t, dir); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// A process that lives is left alone, until it is dead.
func TestRecoverBesideALivingProcess(t *testing.T) {
	dir := crashDir(t)
	cmd := crashtest.Command(t, "wait", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	stateDir := filepath.Join(dir, "state")
	drivers := []driver.Driver{newCrashDriver(dir, &failpoint{})}
	report, err := host.Recover(t.Context(), stateDir, drivers, false, discard())
	if err != nil || len(report.Boxes) > 0 || report.Owners > 0 {
		t.Errorf("beside the living: %+v, %v", report, err)
	}
	list, err := host.ListAll(stateDir)
	if err != nil || len(list) != 2 || list[0].OwnerPID != cmd.Process.Pid || list[0].State != "running" {
		t.Errorf("its sandboxes: %+v, %v", list, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	report, err = host.Recover(t.Context(), stateDir, drivers, false, discard())
	if err != nil || report.Removed() != 2 || report.Owners != 1 {
		t.Errorf("after its death: %+v, %v", report, err)
	}
	if left := remains(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// remains lists boxes and owners.
func remains(t *testing.T, dir string) []string {
	t.Helper()
	objects, err := filepath.Glob(filepath.Join(dir, "objects", "*"))
	if err != nil {
		t.Fatal(err)
	}
	owners, err := filepath.Glob(filepath.Join(dir, "state", "*-*"))
	if err != nil {
		t.Fatal(err)
	}
	return append(objects, owners...)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
