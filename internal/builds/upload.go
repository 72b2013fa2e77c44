package builds

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
)

// Upload receives what a build needs. It ends with Start or Discard.
type Upload struct {
	s     *Service
	owner string
	id    string
	dir   string
	root  *os.Root // of dir
	bytes int64
	files int
	image bool // a root filesystem is there
	ended bool
}

// NewUpload begins one. CodeExhausted when owner has too many builds.
func (s *Service) NewUpload(owner string) (*Upload, error) {
	if err := s.beginUpload(owner); err != nil {
		return nil, err
	}
	id := durable.NewID(prefix)
	dir := filepath.Join(s.tenantDir(owner), id)
	err := os.MkdirAll(filepath.Join(dir, "context"), 0o700)
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(dir)
	}
	if err == nil {
		err = s.makeRoom(owner)
	}
	u := &Upload{s: s, owner: owner, id: id, dir: dir, root: root}
	if err != nil {
		u.Discard()
		return nil, durable.DiskError("receive the build", err)
	}
	return u, nil
}

// beginUpload bounds how much of a tenant's waits at a time.
func (s *Service) beginUpload(owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.uploads[owner]
	for _, b := range s.live {
		if b.owner == owner {
			n++
		}
	}
	if n >= s.cfg.MaxWaiting {
		return api.Errorf(api.CodeExhausted, "cannot begin a build: because %d are under way", n).WithFix("wait for some of them")
	}
	s.uploads[owner]++
	return nil
}

func (s *Service) endUpload(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[owner]--; s.uploads[owner] == 0 {
		delete(s.uploads, owner)
	}
}

// makeRoom forgets the oldest builds that have ended.
func (s *Service) makeRoom(owner string) error {
	list := s.List(owner, "")
	for i := len(list) - 1; i >= s.cfg.MaxKept-1; i-- {
		if !list[i].Final() {
			continue
		}
		if err := s.Remove(owner, list[i].ID); err != nil {
			return err
		}
	}
	return nil
}

// Rootfs receives the root filesystem: a tar, plain or gzip, or an image archive.
func (u *Upload) Rootfs(r io.Reader) error {
	u.image = true
	return u.write("rootfs", r)
}

// File receives a file of the Dockerfile's context. CodeInvalid for a name that
// leads elsewhere.
func (u *Upload) File(name string, r io.Reader) error {
	name = path.Clean(strings.TrimPrefix(name, "./"))
	if !filepath.IsLocal(name) || name == "." || strings.ContainsRune(name, 0) {
		return api.Errorf(api.CodeInvalid, "cannot take the file %.200q: because that is no relative path", name).WithFix("name files as the Dockerfile copies them")
	}
	if err := u.root.MkdirAll(path.Join("context", path.Dir(name)), 0o700); err != nil {
		return badName(name)
	}
	return u.write(path.Join("context", name), r)
}

func badName(name string) error {
	return api.Errorf(api.CodeInvalid, "cannot take the file %.200q: because its name cannot be used beside the others", name).WithFix("use each name once")
}

func (u *Upload) write(name string, r io.Reader) error {
	if u.files++; u.files > u.s.cfg.MaxContexts {
		return api.Errorf(api.CodeInvalid, "cannot take the build's files: because there are more than %d", u.s.cfg.MaxContexts).WithFix("leave out what the Dockerfile does not copy")
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return badName(name)
	}
	n, err := io.Copy(f, io.LimitReader(r, u.s.cfg.MaxUpload-u.bytes+1))
	u.bytes += n
	if err = errors.Join(err, f.Close()); err != nil {
		return api.Errorf(api.CodeInvalid, "cannot take the build's files: because the upload broke off: %w", err).WithFix("send it again")
	}
	if u.bytes > u.s.cfg.MaxUpload {
		return api.Errorf(api.CodeInvalid, "cannot take the build's files: because they are larger than %s", api.FormatBytes(u.s.cfg.MaxUpload)).WithFix("leave out what the Dockerfile does not copy")
	}
	return nil
}

// Discard forgets what was received. After Start, and the second time, it does
// nothing.
func (u *Upload) Discard() {
	if u.ended {
		return
	}
	u.end()
	_ = os.RemoveAll(u.dir) // what stays is removed after a start of the server
}

func (u *Upload) end() {
	u.ended = true
	if u.root != nil {
		u.root.Close()
	}
	u.s.endUpload(u.owner)
}

// Start begins the build. Errors: CodeInvalid, CodeConflict (the name is taken).
func (u *Upload) Start(ctx context.Context, req api.BuildRequest) (api.Build, error) {
	defer u.Discard()
	if err := u.check(req); err != nil {
		return api.Build{}, err
	}
	if err := u.s.claim(ctx, u.owner, req.Name); err != nil {
		return api.Build{}, err
	}
	if u.image && req.Dockerfile != "" { // a file of that name in its context
		if err := u.root.Rename("rootfs", "context/rootfs"); err != nil {
			return api.Build{}, badName("rootfs")
		}
		u.image = false
	}
	if err := u.setModes(); err != nil {
		return api.Build{}, durable.DiskError("begin the build", err)
	}
	size := req.SizeMB
	if size <= 0 {
		size = 1024
	}
	r := record{Owner: u.owner, Build: api.Build{
		ID: u.id, Name: req.Name, Status: api.BuildQueued, StartedAt: time.Now().UTC(), SizeMB: size, Rootfs: u.image, Request: req,
	}}
	b, err := u.s.take(u.dir, r)
	if err != nil {
		return api.Build{}, err
	}
	if err := b.write(); err != nil {
		u.s.drop(b)
		return api.Build{}, durable.DiskError("begin the build", err)
	}
	u.end() // it is the build's now
	u.s.start(b)
	return r.Build, nil
}

// setModes gives the context's files modes to be copied with, which an upload does
// not tell: what looks like a program can be run, and everybody may read.
func (u *Upload) setModes() error {
	root, err := u.root.OpenRoot("context")
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, root.Chmod(name, 0o755))
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		var start [4]byte
		n, err := f.ReadAt(start[:], 0)
		if err != nil && err != io.EOF {
			return err
		}
		if b := start[:n]; bytes.HasPrefix(b, []byte("#!")) || bytes.Equal(b, []byte("\x7fELF")) {
			return f.Chmod(0o755)
		}
		return f.Chmod(0o644)
	})
}

func (u *Upload) check(req api.BuildRequest) error {
	kinds := 0
	for _, is := range []bool{req.Dockerfile != "", req.ImageRef != "", u.image && req.Dockerfile == ""} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return api.Errorf(api.CodeInvalid, "cannot build: because it is to be exactly one of a dockerfile, an image_ref and a file rootfs").WithFix("send one of them")
	}
	if !u.image || req.Dockerfile != "" {
		return nil
	}
	f, err := u.root.Open("rootfs")
	if err != nil {
		return durable.DiskError("read the root filesystem", err)
	}
	defer f.Close()
	// Disk images of other servers are ext4; the magic is at 1080.
	var magic [2]byte
	if _, err := f.ReadAt(magic[:], 1080); err == nil && binary.LittleEndian.Uint16(magic[:]) == 0xEF53 {
		return api.Errorf(api.CodeInvalid, "cannot build from the root filesystem: because it is an ext4 image and no archive").
			WithFix("send its files as a tar, or what 'docker save' writes")
	}
	return nil
}
