package cli

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/brigdev/brig/client"
)

// maxTarEntries bounds a directory that is fetched; its bytes are not bounded.
const maxTarEntries = 1_000_000

// putDir sends a directory of this machine as a tar stream.
func putDir(ctx context.Context, env *Env, sb *client.Sandbox, src, dst string, p *copyProgress) error {
	root, err := os.OpenRoot(src)
	if err != nil {
		return cannotRead("SRC", err)
	}
	defer root.Close()
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := pack(root, w, &leftOut{w: env.Stderr})
		w.CloseWithError(err)
		packed <- err
	}()
	err = sb.Files.Untar(ctx, dst, p.reader(r))
	r.CloseWithError(io.ErrClosedPipe)
	if failed := <-packed; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return failed // what could not be read is why the sending failed
	}
	return err
}

// pack writes all below root that is a regular file, a directory or a symbolic
// link. Links are kept as they are and never followed.
func pack(root *os.Root, w io.Writer, out *leftOut) error {
	t := tar.NewWriter(w)
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return cannotRead("SRC", err)
		}
		if name == "." {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return cannotRead("SRC", err)
		}
		return packOne(root, t, name, st, out)
	})
	if err != nil {
		return err
	}
	return t.Close()
}

func packOne(root *os.Root, t *tar.Writer, name string, st fs.FileInfo, out *leftOut) error {
	h := &tar.Header{Name: filepath.ToSlash(name), Mode: int64(st.Mode().Perm()), ModTime: st.ModTime(), Format: tar.FormatPAX}
	switch {
	case st.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return t.WriteHeader(h)
	case st.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(name)
		if err != nil {
			return cannotRead("SRC", err)
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
		return t.WriteHeader(h)
	case !st.Mode().IsRegular():
		out.add(name, "not a regular file")
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		return cannotRead("SRC", err)
	}
	defer f.Close()
	h.Typeflag, h.Size = tar.TypeReg, st.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(t, f, h.Size)
	if err == io.EOF {
		return cannotRead("SRC", &fs.PathError{Op: "read", Path: name, Err: errors.New("it shrank meanwhile")})
	}
	return err
}

// getDir fetches a directory into target, which is made.
func getDir(ctx context.Context, env *Env, sb *client.Sandbox, src, target string, p *copyProgress) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return cannotWrite(target, err)
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return cannotWrite(target, err)
	}
	defer root.Close()
	body, err := sb.Files.Tar(ctx, src)
	if err != nil {
		return err
	}
	defer body.Close()
	x := &unpacker{root: root, out: &leftOut{w: env.Stderr}}
	return x.unpack(tar.NewReader(p.reader(body)))
}

// unpacker writes what a sandbox says is in a directory. Names come from a hostile
// program: root refuses whatever would leave it, through links too.
type unpacker struct {
	root    *os.Root
	out     *leftOut
	entries int
}

func (x *unpacker) unpack(in *tar.Reader) error {
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if x.entries++; x.entries > maxTarEntries {
			return cannotWrite(x.root.Name(), errors.New("there are too many files"))
		}
		name := filepath.Clean(filepath.FromSlash(h.Name))
		if !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
			x.out.add(h.Name, "not a usable name")
			continue
		}
		if err := x.one(name, h, in); err != nil {
			return err
		}
	}
}

func (x *unpacker) one(name string, h *tar.Header, body io.Reader) error {
	if dir := filepath.Dir(name); dir != "." {
		if err := x.root.MkdirAll(dir, 0o755); err != nil {
			return cannotWrite(name, err)
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := x.root.MkdirAll(name, 0o755); err != nil {
			return cannotWrite(name, err)
		}
		return nil
	case tar.TypeReg:
		mode := os.FileMode(0o644)
		if h.Mode&0o100 != 0 {
			mode = 0o755
		}
		return writeBeside(x.root, name, mode, body)
	case tar.TypeSymlink:
		return x.link(name, h.Linkname)
	}
	x.out.add(name, "not a regular file")
	return nil
}

// link makes a symbolic link that stays inside. One that leads out would have
// whoever follows it later read or write something else.
func (x *unpacker) link(name, target string) error {
	target = filepath.FromSlash(target)
	if filepath.IsAbs(target) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), target)) {
		x.out.add(name, "a symbolic link that leads out")
		return nil
	}
	if st, err := x.root.Lstat(name); err == nil && st.Mode()&fs.ModeSymlink != 0 {
		if err := x.root.Remove(name); err != nil {
			return cannotWrite(name, err)
		}
	}
	if err := x.root.Symlink(target, name); err != nil {
		return cannotWrite(name, err)
	}
	return nil
}
