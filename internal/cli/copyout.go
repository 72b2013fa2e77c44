package cli

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
)

func parseCopyOut(pairs []string) ([]copyPair, error) {
	var out []copyPair
	for _, s := range pairs {
		src, dst, err := parsePair("copy-out", s)
		if err != nil {
			return nil, err
		}
		parent := filepath.Dir(filepath.Clean(dst))
		if st, err := os.Stat(parent); err != nil || !st.IsDir() {
			return nil, api.Errorf(api.CodeInvalid, "cannot write --copy-out to %s: because %s is not a directory", dst, parent).
				WithFix("mkdir -p %s", parent)
		}
		if st, err := os.Stat(dst); strings.HasSuffix(dst, "/") || (err == nil && st.IsDir()) {
			dst = filepath.Join(dst, path.Base(src))
		}
		out = append(out, copyPair{inside: insidePath(src), host: filepath.Clean(dst)})
	}
	return out, nil
}

// copyOut fetches a regular file, or every regular file below a directory.
func (c *copier) copyOut(ctx context.Context, p copyPair) error {
	entries, err := c.box.List(ctx, p.inside, maxCopyFiles)
	if err != nil { // not a directory, or nothing: Get says which
		root, err := os.OpenRoot(filepath.Dir(p.host))
		if err != nil {
			return cannotWrite(p.host, err)
		}
		defer root.Close()
		return c.get(ctx, root, p.inside, filepath.Base(p.host))
	}
	if err := os.MkdirAll(p.host, 0o755); err != nil {
		return cannotWrite(p.host, err)
	}
	root, err := os.OpenRoot(p.host)
	if err != nil {
		return cannotWrite(p.host, err)
	}
	defer root.Close()
	return c.getDir(ctx, root, p.inside, ".", entries, 1)
}

// getDir fetches entries, the content of the directory inside, into dir of
// root. Names come from the guest: one that is not a plain name is refused,
// and root refuses whatever would leave it.
func (c *copier) getDir(ctx context.Context, root *os.Root, inside, dir string, entries []api.FileInfo, depth int) error {
	for _, e := range entries {
		name := path.Base(e.Path)
		from, to := path.Join(inside, name), filepath.Join(dir, name)
		if name == "." || name == ".." || name == "/" || !filepath.IsLocal(to) {
			c.skip(from, "not a usable name")
			continue
		}
		switch e.Kind {
		case api.FileRegular:
			if err := c.get(ctx, root, from, to); err != nil {
				return err
			}
		case api.FileDir:
			if depth >= maxCopyDepth {
				c.skip(from, "too deep")
				continue
			}
			below, err := c.box.List(ctx, from, maxCopyFiles)
			if err != nil {
				return err
			}
			if err := root.MkdirAll(to, 0o755); err != nil {
				return cannotWrite(to, err)
			}
			if err := c.getDir(ctx, root, from, to, below, depth+1); err != nil {
				return err
			}
		default:
			c.skip(from, "not a regular file ("+string(e.Kind)+")")
		}
	}
	return nil
}

// get fetches one regular file. It is written beside its name and renamed, so
// that a failure leaves what was there before.
func (c *copier) get(ctx context.Context, root *os.Root, inside, to string) error {
	tmp := to + ".brig-part"
	f, err := root.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return cannotWrite(to, err)
	}
	info, err := c.box.Get(ctx, inside, maxCopyBytes-c.bytes, f)
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = cannotWrite(to, closeErr)
	}
	if err == nil {
		err = c.count(info.Size)
	}
	if err == nil {
		err = root.Rename(tmp, to)
	}
	if err != nil {
		return errors.Join(err, root.Remove(tmp))
	}
	if info.Mode&0o100 != 0 {
		return root.Chmod(to, 0o755)
	}
	return nil
}

func cannotWrite(name string, err error) error {
	return api.Errorf(api.CodeInvalid, "cannot write %s: because %w", name, err).
		WithFix("choose a place that you can write to")
}
