package cli

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/api"
)

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
