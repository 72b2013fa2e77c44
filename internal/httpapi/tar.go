package httpapi

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// What one archive may hold, in either direction. A hostile program can offer
// endless trees.
const (
	maxTarEntries = 1_000_000
	maxTarDepth   = 100
)

// getTar sends a directory, or a single file, as a tar stream with paths relative
// to it. Only regular files, directories and symbolic links are in it.
func getTar(s *Server, w http.ResponseWriter, r *request) error {
	return s.onFile(r, func(box host.Session, p string) error {
		info, err := box.Stat(r.Context(), p)
		if err != nil {
			return err
		}
		if info.Kind != api.FileDir && info.Kind != api.FileRegular {
			return api.Errorf(api.CodeInvalid, "cannot pack %s: because it is neither a directory nor a regular file", p).WithFix("name a directory")
		}
		w.Header().Set("Content-Type", "application/x-tar")
		t := &tarWriter{ctx: r.Context(), box: box, out: tar.NewWriter(w)}
		if info.Kind == api.FileRegular {
			err = t.file(p, path.Base(p), info)
		} else {
			err = t.dir(p, "", 0)
		}
		if err == nil {
			err = t.out.Close()
		}
		if err != nil {
			return &begunError{err}
		}
		return nil
	})
}

// tarWriter packs a tree that changes while it is read, and whose names and sizes
// are only what the guest says.
type tarWriter struct {
	ctx     context.Context
	box     host.Session
	out     *tar.Writer
	entries int
}

// dir packs what is in the directory from, as names below to.
func (t *tarWriter) dir(from, to string, depth int) error {
	if depth > maxTarDepth {
		return errors.New("the directories are too deep")
	}
	list, err := t.box.List(t.ctx, from, maxDirEntries)
	if err != nil {
		return err
	}
	for _, f := range list {
		name := path.Base(f.Path)
		if name == "." || name == ".." || name == "/" || strings.ContainsRune(name, 0) {
			continue
		}
		if t.entries++; t.entries > maxTarEntries {
			return errors.New("there are too many files")
		}
		if err := t.entry(path.Join(from, name), path.Join(to, name), f, depth); err != nil {
			return err
		}
	}
	return nil
}

func (t *tarWriter) entry(from, to string, f api.FileInfo, depth int) error {
	switch f.Kind {
	case api.FileRegular:
		return t.file(from, to, f)
	case api.FileSymlink:
		return t.out.WriteHeader(t.header(to, f, tar.TypeSymlink, 0, f.Target))
	case api.FileDir:
		if err := t.out.WriteHeader(t.header(to+"/", f, tar.TypeDir, 0, "")); err != nil {
			return err
		}
		return t.dir(from, to, depth+1)
	}
	return nil // FIFOs, sockets and devices stay inside
}

func (t *tarWriter) header(name string, f api.FileInfo, kind byte, size int64, target string) *tar.Header {
	return &tar.Header{
		Typeflag: kind, Name: name, Linkname: target, Size: size, Mode: int64(f.Mode & 0o777),
		ModTime: time.Unix(0, f.ModTime), Format: tar.FormatPAX,
	}
}

// file packs one file with the size that its header says: what it grew is left
// out, what it shrank is filled with zeros, as tar itself does.
func (t *tarWriter) file(from, to string, f api.FileInfo) error {
	if err := t.out.WriteHeader(t.header(to, f, tar.TypeReg, f.Size, "")); err != nil {
		return err
	}
	body := &counted{w: t.out}
	_, err := t.box.Read(t.ctx, from, 0, f.Size, body)
	if err != nil && api.CodeOf(err) != api.CodeNotFound { // one that was removed a moment ago is zeros
		return err
	}
	_, err = io.CopyN(t.out, zeros{}, f.Size-body.n)
	return err
}

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// unpackedBody says what a tar stream became.
type unpackedBody struct {
	Path    string `json:"path"`
	Entries int    `json:"entries"`
	Bytes   int64  `json:"bytes"`
}

// putTar unpacks a tar stream below a directory, which is made. Names that leave
// it are refused, and so is what is no file, directory or symbolic link; it is
// all inside the sandbox in any case.
func putTar(s *Server, w http.ResponseWriter, r *request) error {
	return s.onFile(r, func(box host.Session, p string) error {
		if err := box.Mkdir(r.Context(), p, 0o755); err != nil {
			return err
		}
		in := tar.NewReader(r.Body)
		files, size := 0, int64(0)
		for {
			h, err := in.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return api.Errorf(api.CodeInvalid, "cannot unpack: because the archive is damaged or broke off").WithFix("send an uncompressed tar archive")
			}
			if files++; files > maxTarEntries {
				return api.Errorf(api.CodeInvalid, "cannot unpack: because the archive has more than %d entries", maxTarEntries).WithFix("send fewer")
			}
			if err := unpack(r.Context(), box, p, h, in); err != nil {
				return err
			}
			size += h.Size
		}
		writeJSON(w, http.StatusOK, unpackedBody{p, files, size})
		return nil
	})
}

// unpack makes one entry of an archive.
func unpack(ctx context.Context, box host.Session, dir string, h *tar.Header, body io.Reader) error {
	name := path.Clean(h.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsRune(name, 0) {
		return api.Errorf(api.CodeInvalid, "cannot unpack %.100q: because the name leaves the directory", h.Name).WithFix("pack with relative names")
	}
	to := path.Join(dir, name)
	mode := fs.FileMode(h.Mode & 0o777)
	switch h.Typeflag {
	case tar.TypeReg:
		return box.Put(ctx, to, mode, body)
	case tar.TypeDir:
		return box.Mkdir(ctx, to, mode|0o700)
	case tar.TypeSymlink:
		err := box.Symlink(ctx, h.Linkname, to)
		if api.CodeOf(err) == api.CodeConflict && err != nil { // as tar does, the new one replaces the old one
			if err := box.Remove(ctx, to, false); err != nil {
				return err
			}
			return box.Symlink(ctx, h.Linkname, to)
		}
		return err
	}
	return api.Errorf(api.CodeInvalid, "cannot unpack %.100q: because it is no file, directory or symbolic link", h.Name).
		WithFix("leave it out; pack hard links as files with --hard-dereference")
}
