package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// What one `brig run` may copy in one direction. A hostile program can offer
// endless trees, so every number is bounded.
const (
	maxCopyFiles = 10_000
	maxCopyBytes = 1 << 30
	maxCopyDepth = 32
	maxSkipNotes = 10
)

// copyPair is one checked --copy-in or --copy-out.
type copyPair struct {
	inside string // absolute
	host   string
}

// parsePair splits SRC:DST at the last colon that leaves both sides whole.
func parsePair(flag, s string) (src, dst string, err error) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || i == len(s)-1 {
		return "", "", api.Errorf(api.CodeInvalid, "cannot read --%s %q: because it is not SRC:DST", flag, s).
			WithFix("write it like --%s data.csv:data.csv", flag)
	}
	return s[:i], s[i+1:], nil
}

func parseCopyIn(pairs []string) ([]copyPair, error) {
	var out []copyPair
	for _, s := range pairs {
		src, dst, err := parsePair("copy-in", s)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(src); err != nil {
			return nil, cannotRead("--copy-in", err)
		}
		if strings.HasSuffix(dst, "/") {
			dst += filepath.Base(src)
		}
		out = append(out, copyPair{inside: insidePath(dst), host: src})
	}
	return out, nil
}

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

// copier moves files between the host and one sandbox within the bounds above.
type copier struct {
	box   host.Sandbox
	log   io.Writer // told of what was left out
	files int
	bytes int64
	// skipped counts what was left out.
	skipped int
}

// copyIn puts a host file, or every regular file below a host directory.
// Symbolic links below the directory are left out, so that nothing outside it
// gets in.
func (c *copier) copyIn(ctx context.Context, p copyPair) error {
	st, err := os.Stat(p.host)
	if err != nil {
		return cannotRead("--copy-in", err)
	}
	if !st.IsDir() {
		if !st.Mode().IsRegular() { // opening a FIFO would wait for its writer
			return cannotCopyIn(p.host)
		}
		f, err := os.Open(p.host)
		if err != nil {
			return cannotRead("--copy-in", err)
		}
		return c.put(ctx, p.inside, f)
	}
	root, err := os.OpenRoot(p.host)
	if err != nil {
		return cannotRead("--copy-in", err)
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return cannotRead("--copy-in", err)
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			c.skip(filepath.Join(p.host, name), "not a regular file")
			return nil
		}
		f, err := root.Open(name)
		if err != nil {
			return cannotRead("--copy-in", err)
		}
		return c.put(ctx, path.Join(p.inside, name), f)
	})
}

// put streams f inside and closes it.
func (c *copier) put(ctx context.Context, inside string, f *os.File) error {
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return cannotRead("--copy-in", err)
	}
	if !st.Mode().IsRegular() {
		return cannotCopyIn(f.Name())
	}
	if err := c.count(st.Size()); err != nil {
		return err
	}
	return c.box.Put(ctx, inside, st.Mode().Perm(), io.LimitReader(f, st.Size()))
}

func cannotCopyIn(name string) error {
	return api.Errorf(api.CodeInvalid, "cannot copy %s in: because it is not a regular file", name).
		WithFix("pass it on stdin instead")
}

// count adds one file to the bounds.
func (c *copier) count(size int64) error {
	c.files++
	c.bytes += size
	if c.files > maxCopyFiles || c.bytes > maxCopyBytes {
		return api.Errorf(api.CodeInvalid, "cannot copy: because it is more than %d files or %s", maxCopyFiles, api.FormatBytes(maxCopyBytes)).
			WithFix("copy less, or pack it into one archive")
	}
	return nil
}

// skip names what is left out, the first few times.
func (c *copier) skip(name, why string) {
	switch c.skipped++; {
	case c.skipped <= maxSkipNotes:
		fmt.Fprintf(c.log, "brig: left out %q: %s\n", name, why)
	case c.skipped == maxSkipNotes+1:
		fmt.Fprintln(c.log, "brig: left out more, which is not named")
	}
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
