package template

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/internal/image"
)

// buildImage makes an image from what fill puts into it and gives it its place
// in the catalogue, held until Close.
func (c *Catalog) buildImage(ctx context.Context, fill func(w *image.Writer) error) (image.Info, error) {
	f, err := os.CreateTemp(c.scratch, "image-*")
	if err != nil {
		return image.Info{}, fileError("write", c.scratch, err)
	}
	defer os.Remove(f.Name()) // fails after the rename
	info, err := writeImage(ctx, f, fill)
	if err != nil {
		f.Close()
		return image.Info{}, err
	}
	path := c.imagePath(info.Digest)
	if c.hold(path) == nil && c.intact(ctx, path, info.Digest, info.Bytes) == nil {
		f.Close()
		return info, nil // the same image is there already
	}
	c.unhold(path)
	return info, c.adopt(ctx, f, path)
}

func writeImage(ctx context.Context, f *os.File, fill func(w *image.Writer) error) (image.Info, error) {
	w, err := image.NewWriter(f, image.Limits{})
	if err != nil {
		return image.Info{}, err
	}
	if err := fill(w); err != nil {
		return image.Info{}, err
	}
	return w.Finish(ctx)
}

// adopt gives a new file its name and holds it. The lock is taken first: there
// is no moment in which another process could think that nobody wants it.
func (c *Catalog) adopt(ctx context.Context, f *os.File, path string) error {
	if err := c.nameLocked(ctx, f, path); err != nil {
		f.Close()
		return err
	}
	c.mu.Lock()
	c.held[path] = f
	c.mu.Unlock()
	c.markChecked(path)
	return nil
}

func (c *Catalog) nameLocked(ctx context.Context, f *os.File, path string) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return fileError("lock", f.Name(), err)
	}
	if err := f.Sync(); err != nil { // here, so that nobody waits for it under the lock
		return fileError("write", path, err)
	}
	unlock, err := lock(ctx, c.path("locks", "install"))
	if err != nil {
		return err
	}
	defer unlock()
	return install(f, path)
}

// intact tells whether a file has the content that it had when it was made. Its
// size is compared each time; the whole of it is read once after each boot, and
// when anything about the file looks different from then.
func (c *Catalog) intact(ctx context.Context, path, digest string, size int64) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.Size() != size {
		return fmt.Errorf("%s has %d bytes and not %d", path, st.Size(), size)
	}
	if now, err := identity(path); err == nil {
		if then, err := os.ReadFile(path + ".checked"); err == nil && string(then) == now {
			return nil
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	got, _, err := image.Digest(ctx, f)
	if err != nil {
		return err
	}
	if got != digest {
		return fmt.Errorf("the content of %s has changed", path)
	}
	c.markChecked(path)
	return nil
}

// markChecked notes that a file is known to be whole. Without the note it is
// read again, so that failing is no error.
func (c *Catalog) markChecked(path string) {
	now, err := identity(path)
	if err == nil {
		err = os.WriteFile(path+".checked", []byte(now), 0o600)
	}
	if err != nil {
		c.log.Debug("a checked file could not be marked", "error", err)
	}
}
