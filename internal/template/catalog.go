package template

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/egress"
	"github.com/brigdev/brig/internal/guest"
)

// Options configure a catalogue. All have defaults.
type Options struct {
	Log *slog.Logger
	// Agent and Runner replace the guest's programs that every image gets.
	Agent, Runner []byte
	// Journal records a box that a bake is about to make, before it exists, and
	// returns what takes the record back.
	Journal func(h driver.Handle) (done func(), err error)
	// Kernel starts a code interpreter's kernel of a language in a box that is
	// about to be baked, and returns when it waits for a cell; nil: none is baked.
	Kernel func(ctx context.Context, client *guest.Client, env map[string]string, language string) (api.KernelRef, error)
	// Egress is what the gateways of a build's sandboxes resolve and dial with.
	Egress egress.Options
	// InUse tells which images are needed by what this package does not know of
	// (sandboxes, snapshots), by digest, and what needs them.
	InUse func(ctx context.Context) (map[string]string, error)
	// BuildCacheBytes is how large the layer cache grows; default
	// DefaultBuildCache.
	BuildCacheBytes int64
	// HostRoot is what the host template shows; default "/".
	HostRoot string
}

// Catalog is the templates of one data directory. All methods may be called
// concurrently, by several processes too.
type Catalog struct {
	dir  string
	log  *slog.Logger
	opts Options

	scratch    string   // this process's temporary directory
	scratchDir *os.File // holds the lock on it

	mu     sync.Mutex
	held   map[string]*os.File // files in use, under shared locks
	host   *Template           // the host template, once it was made
	hostMu sync.Mutex
}

// Open opens the catalogue in a data directory, which is made if it is missing,
// and removes what killed processes left half-done there. Close it.
func Open(ctx context.Context, dataDir string, opts Options) (*Catalog, error) {
	c := &Catalog{dir: dataDir, opts: opts.withDefaults(), held: map[string]*os.File{}}
	c.log = c.opts.Log
	for _, sub := range []string{"templates", "images", "snapshots", "locks", "tmp", "build-cache/keys", "build-cache/layers"} {
		if err := os.MkdirAll(c.path(sub), 0o700); err != nil {
			return nil, fileError("make", c.path(sub), err)
		}
	}
	if err := c.openScratch(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Close gives up what the catalogue held; other processes may remove it then.
// It is idempotent.
func (c *Catalog) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scratchDir == nil {
		return nil
	}
	for _, f := range c.held {
		f.Close()
	}
	clear(c.held)
	c.removeScratch(c.scratch)
	err := c.scratchDir.Close()
	c.scratchDir = nil
	return err
}

// Resolve gives the template that a name means today, ready to be used until
// Close. A digest ("sha256:…") means the template that has it under some name.
// Errors: CodeNotFound.
func (c *Catalog) Resolve(ctx context.Context, name string) (Template, error) {
	if strings.HasPrefix(name, "sha256:") {
		return c.resolveDigest(ctx, name)
	}
	if name == HostName {
		return c.resolveHost(ctx)
	}
	for {
		rec, err := c.lookup(name)
		if err != nil {
			return Template{}, err
		}
		if rec.Guest != c.guestID() {
			if rec, err = c.regraft(ctx, name, rec); err != nil {
				return Template{}, err
			}
		}
		err = c.hold(c.imagePath(rec.Digest))
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Stat(c.imagePath(rec.Digest)); err != nil {
				return Template{}, c.damaged(name, "its image is missing")
			}
			continue // replaced a moment ago
		}
		if err == nil {
			err = c.intact(ctx, c.imagePath(rec.Digest), rec.Digest, rec.Bytes)
		}
		if api.CodeOf(err) == api.CodeCancelled {
			return Template{}, err
		}
		if err != nil {
			return Template{}, c.damaged(name, err.Error())
		}
		return c.template(name, rec), nil
	}
}

func (c *Catalog) resolveDigest(ctx context.Context, digest string) (Template, error) {
	names, err := c.names()
	if err != nil {
		return Template{}, err
	}
	for _, name := range append(names, HostName) {
		if t, err := c.Resolve(ctx, name); err == nil && t.Digest == digest {
			return t, nil
		}
	}
	return Template{}, api.Errorf(api.CodeNotFound, "cannot use the template %q: because none has that digest", digest).
		WithFix("see 'brig template ls' for those that exist")
}

// template is the public view of a record.
func (c *Catalog) template(name string, rec Record) Template {
	return Template{
		Name:      name,
		Digest:    rec.Digest,
		Root:      driver.RootFS{Digest: rec.Digest, Image: c.imagePath(rec.Digest)},
		Agent:     []string{agentPath},
		Env:       maps.Clone(rec.Env),
		Languages: maps.Clone(rec.Languages),
		Warm:      rec.baked(),
		Kernels:   slices.Clone(rec.Kernels),
		Config:    rec.Config,
	}
}

// baked tells whether anything in a template can be kept warm.
func (r Record) baked() bool {
	return len(r.WarmModules) > 0 || len(r.Kernels) > 0
}

// List describes the templates by name, host first.
func (c *Catalog) List(ctx context.Context) ([]Info, error) {
	host, err := c.resolveHost(ctx)
	if err != nil {
		return nil, err
	}
	size := int64(0)
	if st, err := os.Stat(host.Root.Image); err == nil {
		size = st.Size()
	}
	list := []Info{{Name: HostName, Digest: host.Digest, Bytes: size, Source: "this host's /usr", Languages: languageNames(host.Languages)}}
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		rec, err := c.lookup(name)
		if err != nil {
			c.log.Warn("a template is left out", "template", name, "error", err)
			continue
		}
		list = append(list, Info{
			Name: name, Digest: rec.Digest, Bytes: rec.Bytes, BuiltAt: rec.BuiltAt, Source: rec.Source,
			Languages: languageNames(rec.Languages), Warm: rec.baked(), Snapshots: len(c.snapshotsOf(rec.Digest)),
		})
	}
	return list, nil
}

// Inspect gives all that is known of a built template.
func (c *Catalog) Inspect(name string) (Record, []Manifest, error) {
	rec, err := c.lookup(name)
	if err != nil {
		return Record{}, nil, err
	}
	return rec, c.snapshotsOf(rec.Digest), nil
}

// lookup reads what a name means. Errors: CodeNotFound with the build command.
func (c *Catalog) lookup(name string) (Record, error) {
	t, err := c.readTag(name)
	if err != nil {
		return Record{}, err
	}
	rec, err := c.record(t.Digest)
	if err != nil {
		return Record{}, c.damaged(name, "its record is missing")
	}
	return rec, nil
}

// record reads what is known of an image.
func (c *Catalog) record(digest string) (Record, error) {
	var rec Record
	if err := readJSON(c.recordPath(digest), &rec); err != nil {
		return Record{}, err
	}
	if rec.Version != recordVersion || rec.Digest != digest {
		return Record{}, fs.ErrNotExist
	}
	return rec, nil
}

func (c *Catalog) damaged(name, why string) error {
	return api.Errorf(api.CodeUnavailable, "cannot use the template %s: because %s", name, why).
		WithFix("build it again: 'brig template build %s'", name)
}

// names lists the tags, sorted.
func (c *Catalog) names() ([]string, error) {
	files, err := os.ReadDir(c.path("templates"))
	if err != nil {
		return nil, fileError("read", c.path("templates"), err)
	}
	var names []string
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".json"); ok && CheckName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// CheckName refuses what cannot be a template's name.
func CheckName(name string) error {
	if regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`).MatchString(name) {
		return nil
	}
	return api.Errorf(api.CodeInvalid, "cannot use %q as a template's name: because it is not of a-z, 0-9, '.', '_' and '-', at most 63 long", name).
		WithFix("see 'brig template ls' for those that exist")
}

func (c *Catalog) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}
func (c *Catalog) tagPath(name string) string { return c.path("templates", name+".json") }
func (c *Catalog) imagePath(digest string) string {
	return c.path("images", hexOf(digest)+".erofs")
}
func (c *Catalog) recordPath(digest string) string {
	return c.path("images", hexOf(digest)+".json")
}

func hexOf(digest string) string {
	// A digest is read from our own files; its base keeps a damaged one inside.
	return filepath.Base(strings.TrimPrefix(digest, "sha256:"))
}

func languageNames(m map[string]Language) []string {
	return slices.Sorted(maps.Keys(m))
}
