// Package controltest makes services for tests: a whole host over the fake driver,
// a real store of snapshots, and interpreters that only pretend. Sandboxes have
// one template, "fake"; its programs are in the fake driver's script language.
package controltest

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/host/hosttest"
	"github.com/brigdev/brig/internal/snapshot"
)

// Rig is a service and all that is below it.
type Rig struct {
	*control.Service
	Driver *fake.Driver
	Store  *snapshot.Store

	t     testing.TB
	host  *host.Manager
	dir   string
	alter func(*control.Config)
}

// New makes one that ends with the test.
func New(t testing.TB) *Rig { return NewWith(t, func(*control.Config) {}) }

// NewWith is New with a configuration that the test alters.
func NewWith(t testing.TB, alter func(*control.Config)) *Rig {
	t.Helper()
	r := &Rig{t: t, dir: t.TempDir(), alter: alter, Driver: fake.New(fake.Options{Rung: api.RungGVisor})}
	store, err := snapshot.Open(filepath.Join(r.dir, "snapshots"), snapshot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Store = store
	t.Cleanup(func() { store.Close() })
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *Rig) start() {
	r.t.Helper()
	m, err := host.NewManager(host.Config{
		Drivers: []driver.Driver{r.Driver}, Templates: hosttest.NewTemplates(r.t), StateDir: filepath.Join(r.dir, "state"),
		MemoryBytes: 64 << 30, CPUs: 64, MaxStarts: 2,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.host = m
	cfg := control.Config{
		Host: m, Snapshots: r.Store, SnapshotKey: func(string) string { return r.Driver.SnapshotKey() },
		Kernels: kernels{}, CreateWithin: 3 * time.Second, Dir: control.DirIn(filepath.Join(r.dir, "state")), Log: slog.New(slog.DiscardHandler),
	}
	r.alter(&cfg)
	r.Service, err = control.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *Rig) stop() {
	if err := r.Service.Close(); err != nil {
		r.t.Errorf("close the service: %v", err)
	}
	if err := r.host.Close(context.Background()); err != nil {
		r.t.Errorf("close the host: %v", err)
	}
}

// Restart ends the service as a server's end does, and starts another one in its
// place.
func (r *Rig) Restart() {
	r.t.Helper()
	r.stop()
	r.start()
}

// Boxes is how many boxes there are.
func (r *Rig) Boxes() int {
	r.t.Helper()
	list, err := r.Driver.Leftovers(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return len(list)
}

// Eventually waits for something that happens by itself, and fails the test if it
// does not within more time than it can take.
func Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}

// kernels pretend: a cell "set NAME VALUE" keeps a value, "get NAME" shows it, "hang"
// lasts until its timeout and "raise" fails.
type kernels struct{}

// Open implements control.Kernels.
func (kernels) Open(_ context.Context, _ host.Session, language, cwd string) (control.Kernel, error) {
	if language != "python" && language != "javascript" {
		return nil, api.Errorf(api.CodeInvalid, "cannot run %q: because there is no such language", language)
	}
	n := opened.Add(1)
	return &kernel{ref: api.KernelRef{ID: fmt.Sprintf("k%d", n), Language: language, Cwd: cwd, PID: int(n)}, values: map[string]string{}}, nil
}

// opened numbers kernels, so that no two of one process have the same id.
var opened atomic.Int64

// Resume implements control.Kernels; what a kernel kept is not in a snapshot here.
func (kernels) Resume(_ context.Context, _ host.Session, ref api.KernelRef, _ control.Setting) (control.Kernel, error) {
	return &kernel{ref: ref, values: map[string]string{"resumed": "yes"}}, nil
}

type kernel struct {
	ref    api.KernelRef
	values map[string]string
	count  int
}

func (k *kernel) Ref() api.KernelRef          { return k.ref }
func (k *kernel) Close(context.Context) error { return nil }

func (k *kernel) Restart(context.Context) error {
	k.values, k.count = map[string]string{}, 0
	return nil
}

func (k *kernel) Run(ctx context.Context, c control.Cell, on func(api.CodeEvent)) (api.CodeExecution, error) {
	k.count++
	res := api.CodeExecution{Count: k.count, Results: []api.CodeResult{}}
	f := append(strings.Fields(c.Code), "", "", "")
	switch f[0] {
	case "set":
		k.values[f[1]] = f[2]
		on(api.CodeEvent{Stdout: "kept\n"})
		res.Stdout = "kept\n"
	case "get":
		r := api.CodeResult{Data: map[string]string{"text/plain": k.values[f[1]]}, Main: true}
		on(api.CodeEvent{Result: &r})
		res.Results = append(res.Results, r)
	case "hang":
		on(api.CodeEvent{Stdout: "hangs\n"})
		select {
		case <-time.After(c.Timeout):
			res.TimedOut = true
		case <-ctx.Done():
			return res, api.Errorf(api.CodeCancelled, "cannot run the cell: because the caller went away")
		}
	case "raise":
		res.Error = &api.CodeError{Name: "ValueError", Value: "no", Traceback: "Traceback: ValueError: no\n"}
	}
	return res, nil
}
