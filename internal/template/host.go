package template

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/image"
)

// HostName is the template that shows this host's own programs. It needs no
// building and no network: a small image made at first use, and the host's /usr
// read-only on top. It is never baked.
const HostName = "host"

// hostTops are the directories of programs and libraries at the root. Where they
// are symlinks into /usr they are copied as such, else they are shown too.
func hostTops() []string {
	return []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
}

// hostEtc are the files of /etc that programs need to work, and none that says
// whose machine this is.
func hostEtc() []string {
	return []string{
		"/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types",
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
	}
}

// resolveHost makes the host template's image, every time a catalogue is first
// asked for it: it takes milliseconds, and what it would otherwise be checked
// against is the very same reading.
func (c *Catalog) resolveHost(ctx context.Context) (Template, error) {
	c.hostMu.Lock()
	defer c.hostMu.Unlock()
	if c.host != nil {
		return *c.host, nil
	}
	binds, links := c.hostDirs()
	if len(binds) == 0 {
		return Template{}, api.Errorf(api.CodeUnavailable, "cannot use the template host: because there is no %s/usr", strings.TrimSuffix(c.opts.HostRoot, "/")).
			WithFix("use a built template: 'brig template build python'")
	}
	info, err := c.buildImage(ctx, func(w *image.Writer) error {
		if err := w.AddDir(ctx, c.opts.HostRoot, keepOnly(append(links, hostEtc()...))); err != nil {
			return err
		}
		if err := w.AddContents(ctx, c.skeleton(none)); err != nil {
			return err
		}
		return w.AddContents(ctx, mountPoints(binds))
	})
	if err != nil {
		return Template{}, err
	}
	t := Template{
		Name:      HostName,
		Digest:    hostDigest(info.Digest, binds),
		Agent:     []string{agentPath},
		Env:       programEnv(),
		Languages: findLanguages(c.hostProgram),
	}
	t.Root = driver.RootFS{Digest: t.Digest, Image: c.imagePath(info.Digest), Binds: binds}
	c.host = &t
	return t, nil
}

// hostDirs tells which of the top directories are shown, and which are symlinks
// to copy.
func (c *Catalog) hostDirs() (binds []driver.Bind, links []string) {
	for _, top := range hostTops() {
		source := filepath.Join(c.opts.HostRoot, top)
		st, err := os.Lstat(source)
		switch {
		case err != nil:
		case st.IsDir():
			binds = append(binds, driver.Bind{Source: source, Target: top})
		case st.Mode()&fs.ModeSymlink != 0:
			links = append(links, top)
		}
	}
	return binds, links
}

// hostProgram tells whether a program of the host is really there inside: the
// file that its symlinks end at must be below something that is shown.
func (c *Catalog) hostProgram(path string) bool {
	real, err := filepath.EvalSymlinks(filepath.Join(c.opts.HostRoot, path))
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(c.opts.HostRoot, real)
	if err != nil {
		return false
	}
	binds, _ := c.hostDirs()
	for _, b := range binds {
		if strings.HasPrefix("/"+rel, b.Target+"/") {
			st, err := os.Stat(real)
			return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
		}
	}
	return false
}

func mountPoints(binds []driver.Bind) []image.Content {
	points := make([]image.Content, 0, len(binds))
	for _, b := range binds {
		points = append(points, dir(b.Target, 0o755, 0))
	}
	return points
}

func hostDigest(image string, binds []driver.Bind) string {
	// Strings marshal without fail.
	data, _ := json.Marshal(struct {
		Image string
		Binds []driver.Bind
	}{image, binds})
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// keepOnly keeps the given paths, what is below them, and the way there.
func keepOnly(paths []string) image.Keep {
	return func(path string) bool {
		for _, p := range paths {
			if path == p || strings.HasPrefix(path, p+"/") || strings.HasPrefix(p, path+"/") {
				return true
			}
		}
		return false
	}
}
