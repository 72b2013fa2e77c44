package builds_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/builds"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/template"
)

const ann, bob, local = "ann", "bob", "local"

// catalogue pretends to build: a Dockerfile "fail" fails, and "wait" lasts until
// the build is given up.
type catalogue struct {
	mu    sync.Mutex
	names []string
	seen  template.BuildOptions // the latest
	began chan struct{}
}

func (c *catalogue) Build(ctx context.Context, name string, o template.BuildOptions, _ func(string)) (template.Template, error) {
	c.mu.Lock()
	c.seen = o
	c.mu.Unlock()
	o.Events(template.BuildEvent{Event: "step", Text: "reading " + o.Context + o.From, Step: 1, Steps: 1})
	switch o.Recipe {
	case "fail":
		return template.Template{}, api.Errorf(api.CodeInvalid, "cannot build %s: because it fails", filepath.Join(o.Context, "x")).WithFix("do not")
	case "wait":
		c.began <- struct{}{}
		<-ctx.Done()
		return template.Template{}, ctx.Err()
	}
	image := filepath.Join(filepath.Dir(o.Context+o.From), "log.jsonl") // some file that is there
	t := template.Template{Name: name, Digest: "sha256:d", Root: driver.RootFS{Image: image}}
	if o.Try != nil {
		if err := o.Try(ctx, t); err != nil {
			return t, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = append(c.names, name)
	return t, nil
}

func (c *catalogue) Remove(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = slices.DeleteFunc(c.names, func(s string) bool { return s == name })
	return nil
}

func (c *catalogue) List(context.Context) ([]template.Info, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []template.Info{{Name: "host"}}
	for _, n := range c.names {
		list = append(list, template.Info{Name: n})
	}
	return list, nil
}

type rig struct {
	*builds.Service
	t         *testing.T
	cfg       builds.Config
	catalogue *catalogue
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, catalogue: &catalogue{names: []string{"shared"}, began: make(chan struct{}, 10)}}
	r.cfg = builds.Config{
		Dir: t.TempDir(), Templates: r.catalogue, Local: local, MaxKept: 5, MaxUpload: 2000, MaxContexts: 5,
		Bake: func(_ context.Context, _ template.Template, progress func(string)) error {
			progress("baking")
			return nil
		},
	}
	r.open()
	t.Cleanup(func() { _ = r.Service.Close() })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	s, err := builds.Open(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Service = s
}

func (r *rig) upload(owner string) *builds.Upload {
	r.t.Helper()
	u, err := r.NewUpload(owner)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(u.Discard)
	return u
}

func (r *rig) start(owner string, req api.BuildRequest) api.Build {
	r.t.Helper()
	b, err := r.upload(owner).Start(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// end follows the log to its end.
func (r *rig) end(owner, id string) (api.Build, string) {
	r.t.Helper()
	var log strings.Builder
	err := r.Log(r.t.Context(), owner, id, true, func(e template.BuildEvent) error {
		_, err := log.WriteString(e.Text + "\n")
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := r.Get(owner, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return b, log.String()
}

func TestBuild(t *testing.T) {
	r := newRig(t)
	u := r.upload(ann)
	for name, text := range map[string]string{"app/main.py": "print()", "./b": "b"} {
		if err := u.File(name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := u.Start(t.Context(), api.BuildRequest{Name: "app", Dockerfile: "FROM python", AllowEgress: []string{"example.com"}, RunMemoryMB: 64, Args: map[string]string{"A": "1"}})
	if err != nil || b.Status != api.BuildQueued || b.SizeMB != 1024 {
		t.Fatalf("%+v, %v", b, err)
	}
	b, log := r.end(ann, b.ID)
	if b.Status != api.BuildDone || b.Digest != "sha256:d" || b.Bytes == 0 || b.EndedAt == nil || !strings.Contains(log, "baking") || strings.Contains(log, r.cfg.Dir) {
		t.Errorf("%+v\n%s", b, log)
	}
	o := r.catalogue.seen
	if o.Recipe != "FROM python" || o.Limits.MemoryBytes != 64<<20 || o.Args["A"] != "1" || o.Remote == nil || !o.Remote.PublicOnly || o.From != "" {
		t.Errorf("built with %+v", o)
	}
	if _, err := os.Stat(o.Context); err == nil {
		t.Error("the context stays")
	}

	u = r.upload(local)
	if err := u.Rootfs(strings.NewReader("a tar")); err != nil {
		t.Fatal(err)
	}
	if b, err = u.Start(t.Context(), api.BuildRequest{Name: "files", NoBake: true}); err != nil {
		t.Fatal(err)
	}
	if b, log = r.end(local, b.ID); b.Status != api.BuildDone || strings.Contains(log, "baking") || r.catalogue.seen.Remote.PublicOnly {
		t.Errorf("%+v\n%s", b, log)
	}
	b = r.start(ann, api.BuildRequest{Name: "image", ImageRef: "alpine:3"})
	if b, _ = r.end(ann, b.ID); b.Status != api.BuildDone || r.catalogue.seen.From != "docker://alpine:3" {
		t.Errorf("%+v, from %s", b, r.catalogue.seen.From)
	}
	b = r.start(ann, api.BuildRequest{Name: "failing", Dockerfile: "fail"})
	if b, _ = r.end(ann, b.ID); b.Status != api.BuildFailed || b.Error != "cannot build context/x: because it fails" || b.Fix != "do not" || r.OwnerOf("failing") != "" {
		t.Errorf("%+v of %q", b, r.OwnerOf("failing"))
	}
}

func TestBadUploads(t *testing.T) {
	r := newRig(t)
	u := r.upload(ann)
	for _, name := range []string{"", ".", "..", "../x", "/etc/x", "a/../../x", "a\x00b"} {
		if err := u.File(name, strings.NewReader("x")); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("file %q: %v", name, err)
		}
	}
	if err := u.File("a", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"a name twice": u.File("a", strings.NewReader("x")), "below a file": u.File("a/b", strings.NewReader("x")),
		"broken off": u.File("c", iotest.ErrReader(errors.New("gone"))), "too large": u.File("d", strings.NewReader(strings.Repeat("x", 2001))),
	} {
		if api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	u.Discard()
	u = r.upload(ann)
	var many error
	for i := range 6 {
		many = u.File(strings.Repeat("x", i+1), strings.NewReader(""))
	}
	if api.CodeOf(many) != api.CodeInvalid {
		t.Errorf("too many files: %v", many)
	}
	ext4 := make([]byte, 1100)
	ext4[1080], ext4[1081] = 0x53, 0xEF
	u = r.upload(ann)
	if err := u.Rootfs(bytes.NewReader(ext4)); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Start(t.Context(), api.BuildRequest{Name: "disk"}); api.CodeOf(err) != api.CodeInvalid || !strings.Contains(err.Error(), "ext4") {
		t.Errorf("a disk image: %v", err)
	}
	for what, req := range map[string]api.BuildRequest{
		"nothing": {Name: "x"}, "two": {Name: "x", Dockerfile: "FROM y", ImageRef: "z"}, "name": {Name: "X/..", ImageRef: "z"}, "no name": {ImageRef: "z"},
	} {
		if _, err := r.upload(ann).Start(t.Context(), req); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(r.cfg.Dir, "*", "build-*"))
	if err != nil || len(left) > 2 { // those that are not discarded yet
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestOwners: a tenant's template and builds are nobody else's.
func TestOwners(t *testing.T) {
	r := newRig(t)
	b := r.start(ann, api.BuildRequest{Name: "app", Dockerfile: "x"})
	r.end(ann, b.ID)
	for name, may := range map[string][3]bool{"app": {true, false, true}, "shared": {true, true, true}, "../x": {true, true, true}} {
		if got := [3]bool{r.MayUse(ann, name), r.MayUse(bob, name), r.MayUse(local, name)}; got != may {
			t.Errorf("%s may be used by %v, want %v", name, got, may)
		}
	}
	if mayUse := r.catalogue.seen.Remote.MayUse; !mayUse("app") {
		t.Error("ann's build may not start from ann's template")
	}
	_, err := r.Get(bob, b.ID)
	for what, err := range map[string]error{
		"get": err, "remove": r.Remove(bob, b.ID), "log": r.Log(t.Context(), bob, b.ID, true, func(template.BuildEvent) error { return nil }),
		"remove template": r.RemoveTemplate(t.Context(), bob, "app"), "a path": r.Remove(ann, "../owners"), "no template": r.RemoveTemplate(t.Context(), ann, "none"),
	} {
		if api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"app", "shared", "python", "host", "builds", "base", "ubuntu-24.04"} {
		if _, err := r.upload(bob).Start(t.Context(), api.BuildRequest{Name: name, Dockerfile: "x"}); api.CodeOf(err) != api.CodeConflict {
			t.Errorf("bob builds %s: %v", name, err)
		}
	}
	if err := r.RemoveTemplate(t.Context(), bob, "shared"); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("bob removes what is everybody's: %v", err)
	}
	if list := r.List(bob, ""); len(list) != 0 {
		t.Errorf("bob sees %v", list)
	}
	if list := r.List(ann, "app"); len(list) != 1 || len(r.List(ann, "other")) != 0 {
		t.Errorf("ann sees %v", list)
	}
	if err := r.RemoveTemplate(t.Context(), ann, "app"); err != nil || r.OwnerOf("app") != "" {
		t.Errorf("ann removes hers: %v", err)
	}
	if err := r.RemoveTemplate(t.Context(), local, "shared"); err != nil {
		t.Errorf("this machine's owner: %v", err)
	}
}

// TestRestart: a build that its server did not finish begins again, not for ever.
func TestRestart(t *testing.T) {
	r := newRig(t)
	b := r.start(ann, api.BuildRequest{Name: "app", Dockerfile: "wait"})
	waiting := r.start(bob, api.BuildRequest{Name: "other", Dockerfile: "x"})
	for n := range 5 {
		<-r.catalogue.began
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if n == 4 { // as if it had been killed each time
			r.edit(b.ID, `"attempts": 0`, `"attempts": 3`)
		}
		r.open()
	}
	if b, _ := r.end(ann, b.ID); b.Status != api.BuildFailed || !strings.Contains(b.Error, "died") {
		t.Errorf("%+v", b)
	}
	if b, _ := r.end(bob, waiting.ID); b.Status != api.BuildDone {
		t.Errorf("what waited: %+v", b)
	}
}

// edit changes a build's record behind the service's back.
func (r *rig) edit(id, from, to string) {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.cfg.Dir, "*", id, "build.json"))
	if err != nil || len(names) != 1 {
		r.t.Fatalf("the record: %v, %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		r.t.Fatal(err)
	}
	changed := strings.Replace(string(b), from, to, 1)
	if changed == string(b) {
		r.t.Fatalf("the record has no %s: %s", from, b)
	}
	if err := os.WriteFile(names[0], []byte(changed), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func TestRemove(t *testing.T) {
	r := newRig(t)
	b := r.start(ann, api.BuildRequest{Name: "app", Dockerfile: "wait"})
	<-r.catalogue.began
	waiting := r.start(ann, api.BuildRequest{Name: "app", Dockerfile: "x"})
	for _, id := range []string{waiting.ID, b.ID} {
		if err := r.Remove(ann, id); err != nil {
			t.Error(err)
		}
		if _, err := r.Get(ann, id); api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("removed: %v", err)
		}
	}
	if of := r.OwnerOf("app"); of != "" {
		t.Errorf("the name is still %s's", of)
	}
	for range 8 { // only the latest are remembered
		b = r.start(ann, api.BuildRequest{Name: "app", Dockerfile: "x"})
		r.end(ann, b.ID)
	}
	if n := len(r.List(ann, "")); n != 5 {
		t.Errorf("%d builds are remembered", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Log(ctx, ann, b.ID, false, func(template.BuildEvent) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a reader that fails: %v", err)
	}
}
