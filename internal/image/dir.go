package image

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// AddDir puts what is below a directory, in order of names. It walks by
// descriptor and follows no symlink, so that a tree which changes meanwhile
// cannot lead it elsewhere.
func (w *Writer) AddDir(ctx context.Context, dir string, keep Keep) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return api.Errorf(api.CodeInvalid, "cannot read the root filesystem %s: because of %w", dir, err).
			WithFix("name a directory that you may read")
	}
	root := os.NewFile(uintptr(fd), dir)
	defer root.Close()
	walk := walker{w: w, keep: keep, seen: map[fileID]string{}}
	return walk.dir(ctx, root, "")
}

// fileID tells hard links to one file apart from copies of it.
type fileID struct{ dev, ino uint64 }

type walker struct {
	w    *Writer
	keep Keep
	seen map[fileID]string
}

func (k *walker) dir(ctx context.Context, d *os.File, path string) error {
	if err := ctx.Err(); err != nil {
		return api.Errorf(api.CodeCancelled, "cannot go on with an image: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(d.Fd()), &st); err != nil {
		return readError(path, err)
	}
	if err := k.w.Put(ctx, entryOf(path, Dir, &st), nil); err != nil {
		return err
	}
	names, err := d.Readdirnames(k.w.limits.Entries + 1)
	switch {
	case err != nil && err != io.EOF:
		return readError(path, err)
	case len(names) > k.w.limits.Entries:
		return Refuse(path, "there are too many files in it")
	}
	slices.Sort(names)
	for _, name := range names {
		if err := k.name(ctx, d, name, path+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

func (k *walker) name(ctx context.Context, d *os.File, name, path string) error {
	if !k.keep(path) {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return readError(path, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		sub, err := openAt(d, name, path, unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer sub.Close()
		return k.dir(ctx, sub, path)
	case unix.S_IFLNK:
		target := make([]byte, maxTarget+1)
		n, err := unix.Readlinkat(int(d.Fd()), name, target)
		if err != nil {
			return readError(path, err)
		}
		e := entryOf(path, Symlink, &st)
		e.Target = string(target[:n])
		return k.w.Put(ctx, e, nil)
	case unix.S_IFREG:
		return k.file(ctx, d, name, path)
	}
	return nil // devices, sockets, FIFOs
}

func (k *walker) file(ctx context.Context, d *os.File, name, path string) error {
	f, err := openAt(d, name, path, unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return readError(path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return readError(path, fmt.Errorf("%w: it is no regular file any more", fs.ErrInvalid))
	}
	id := fileID{uint64(st.Dev), st.Ino}
	if first, ok := k.seen[id]; ok {
		return k.w.Link(path, first)
	}
	if st.Nlink > 1 {
		k.seen[id] = path
	}
	e := entryOf(path, File, &st)
	e.Size = st.Size
	return k.w.Put(ctx, e, f)
}

func openAt(d *os.File, name, path string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(d.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, readError(path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

func entryOf(path string, kind Kind, st *unix.Stat_t) Entry {
	return Entry{Path: path, Kind: kind, Mode: st.Mode & permMask, UID: st.Uid, GID: st.Gid,
		MTime: time.Unix(st.Mtim.Unix())}
}
