package hosttest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/template"
)

// Templates is a catalogue for tests with fake boxes. It has one template,
// "fake", with the languages shell (cold) and python (warm); what runs in them is
// the fake driver's own script language.
type Templates struct {
	dir string

	mu    sync.Mutex
	bakes int
}

var _ host.Templates = (*Templates)(nil)

// NewTemplates makes a catalogue whose snapshots live as long as the test.
func NewTemplates(t testing.TB) *Templates { return &Templates{dir: t.TempDir()} }

// Resolve implements host.Templates.
func (c *Templates) Resolve(_ context.Context, name string) (template.Template, error) {
	if name != "fake" {
		return template.Template{}, api.Errorf(api.CodeNotFound, "cannot find template %s", name).WithFix("use fake")
	}
	return template.Template{
		Name: "fake", Digest: "sha256:fake", Warm: true,
		Env: map[string]string{"PATH": "/usr/bin:/bin"},
		Languages: map[string]template.Language{
			"shell":  {Ext: "sh", Argv: []string{"sh"}},
			"python": {Ext: "py", Argv: []string{"python3"}, Warm: true},
		},
	}, nil
}

// Snapshot implements host.Templates.
func (c *Templates) Snapshot(ctx context.Context, _ template.Template, d driver.Driver, kind string, l api.Limits) (string, error) {
	if _, ok := d.(driver.SnapshotKeyer); !ok {
		return "", nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := filepath.Join(c.dir, kind)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	c.bakes++
	return dir, bake(ctx, d, dir, kind, l)
}

// Bakes is how many snapshots were baked.
func (c *Templates) Bakes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bakes
}

// bake starts the interpreter in a box and keeps the box's memory.
func bake(ctx context.Context, d driver.Driver, dir, kind string, l api.Limits) error {
	box, err := d.Create(ctx, driver.BoxSpec{ID: "bake-" + kind, Limits: l, Attached: true})
	if err != nil {
		return err
	}
	defer box.Destroy(ctx)
	client, err := guest.Start(ctx, box.Channel(), [64]byte{}, time.Now(), guest.Identity{})
	if err != nil {
		return err
	}
	defer client.Close()
	request := guest.ExecRequest{Flags: guest.ExecWarmStart, Argv: []string{"python3"}}
	if kind == "session" {
		request.Flags |= guest.ExecFork
	}
	if _, err := client.Exec(ctx, request, guest.Streams{}); err != nil {
		return err
	}
	snapshotter, ok := box.(driver.Snapshotter)
	if !ok {
		return api.Errorf(api.CodeUnsupported, "cannot bake: because %s boxes have no snapshots", d.Name())
	}
	return snapshotter.Snapshot(ctx, dir, false)
}
