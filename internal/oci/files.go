package oci

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/brigdev/brig/api"
)

// maxMembers bounds the files of an archive.
const maxMembers = 100_000

// files is a layout's or archive's own files, by name.
type files interface {
	// open gives a file and its size; fs.ErrNotExist.
	open(name string) (io.ReadCloser, int64, error)
	io.Closer
}

// dirFiles is a layout in a directory. Nothing outside of it is reached,
// whatever its symlinks say.
type dirFiles struct{ root *os.Root }

func (d dirFiles) open(name string) (io.ReadCloser, int64, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

func (d dirFiles) Close() error { return d.root.Close() }

// tarFiles is an archive: a plain tar, of which only positions are kept.
type tarFiles struct {
	file    *os.File // the archive
	f       *os.File // what is read: it, or where it was unpacked
	members map[string]member
}

type member struct {
	at, size int64
	same     string // another name of the same file
}

// openTar lists an archive. One that is compressed is unpacked into temp first,
// because its files are wanted in another order than they have.
func openTar(ctx context.Context, f, temp *os.File) (*tarFiles, error) {
	head := make([]byte, 2)
	t := &tarFiles{file: f, members: map[string]member{}}
	if _, err := f.ReadAt(head, 0); err == nil && string(head) == "\x1f\x8b" {
		if temp == nil {
			return nil, errors.New("it is compressed")
		}
		if err := gunzip(ctx, f, temp); err != nil {
			return nil, err
		}
		f = temp
	}
	t.f = f
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	archive := tar.NewReader(f)
	for n := 0; n < maxMembers; n++ {
		h, err := archive.Next()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, api.Errorf(api.CodeCancelled, "cannot go on with an image: %w", context.Cause(ctx))
		}
		name := path.Clean("/" + h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			at, err := f.Seek(0, io.SeekCurrent) // archive/tar reads no further than the header
			if err != nil {
				return nil, err
			}
			t.members[name] = member{at: at, size: h.Size}
		case tar.TypeSymlink: // old versions of docker save link layers that are the same
			t.members[name] = member{same: path.Join(path.Dir(name), h.Linkname)}
		case tar.TypeLink:
			t.members[name] = member{same: path.Clean("/" + h.Linkname)}
		}
	}
	return nil, errors.New("it has too many files")
}

func gunzip(ctx context.Context, f, temp *os.File) error {
	l, err := newLayerReader(io.NewSectionReader(f, 0, 1<<62))
	if err != nil {
		return err
	}
	defer l.close()
	for {
		if ctx.Err() != nil {
			return api.Errorf(api.CodeCancelled, "cannot go on with an image: %w", context.Cause(ctx))
		}
		if _, err := io.CopyN(temp, l, 1<<20); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (t *tarFiles) open(name string) (io.ReadCloser, int64, error) {
	m, ok := t.members[path.Clean("/"+name)]
	for hops := 0; ok && m.same != "" && hops < 8; hops++ {
		m, ok = t.members[m.same]
	}
	if !ok || m.same != "" {
		return nil, 0, fs.ErrNotExist
	}
	return io.NopCloser(io.NewSectionReader(t.f, m.at, m.size)), m.size, nil
}

func (t *tarFiles) Close() error { return t.file.Close() }

// document reads a small file.
func document(f files, name string) ([]byte, error) {
	r, size, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > maxDocument {
		return nil, errors.New(clip(name) + " is larger than " + api.FormatBytes(maxDocument))
	}
	return io.ReadAll(io.LimitReader(r, maxDocument))
}

// blob reads a small file by its digest, and checks it.
func blob(f files, digest string) ([]byte, error) {
	name, err := blobName(digest)
	if err != nil {
		return nil, err
	}
	b, err := document(f, name)
	if err != nil {
		return nil, err
	}
	if got := digestOf(b); got != digest {
		return nil, errors.New("the content of " + name + " has the digest " + got)
	}
	return b, nil
}

func blobName(digest string) (string, error) {
	if !isDigest(digest) {
		return "", errors.New("\"" + clip(digest) + "\" is no sha256 digest")
	}
	return "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:"), nil
}

// layerOf opens a layer that is one of the files.
func layerOf(f files, name string) opener {
	return func(context.Context) (io.ReadCloser, error) {
		r, _, err := f.open(name)
		if err != nil {
			return nil, api.Errorf(api.CodeInvalid, "cannot unpack the image: because its layer %q is not there: %w", clip(name), err).
				WithFix("fetch the image again: it is incomplete")
		}
		return r, nil
	}
}
