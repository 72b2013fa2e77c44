package gvisor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/brigdev/brig/api"
	"golang.org/x/sys/unix"
)

// snapshotFiles in the order that the sentry wants them.
var snapshotFiles = []string{"checkpoint.img", "pages_meta.img", pagesFile}

// pagesFile holds the memory, and what the guest wrote to its disk.
const pagesFile = "pages.img"

func openSnapshot(dir string, flag int) ([]*os.File, error) {
	var files []*os.File
	for _, name := range snapshotFiles {
		f, err := os.OpenFile(filepath.Join(dir, name), flag, 0o600)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// PrepareSnapshot implements driver.SnapshotPreparer: it fills the file for the
// memory with about as much as the sentry will write there. The kernel accounts a
// page of a file to whoever touched it first. Were that the sentry, its snapshot
// would count against the box's memory limit, and the box would stand still until
// half of what it just wrote is on the disk. And clones find all of it in memory.
func (b *Box) PrepareSnapshot(ctx context.Context, dir string) error {
	if err := b.canSnapshot(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, pagesFile), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make the snapshot's files: %w", err)
	}
	defer f.Close()
	// Random, so that the guest has no page that looks like it.
	b.filler = make([]byte, os.Getpagesize())
	rand.Read(b.filler)
	block := bytes.Repeat(b.filler, 256)
	for left := b.pages(); left > 0 && err == nil; left -= int64(len(block)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err = f.Write(block)
	}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return api.Errorf(api.CodeExhausted, "cannot snapshot the box: because there is no room for it: %w", err).
			WithFix("make room where snapshots are kept (BRIG_DATA)")
	case err != nil:
		return fmt.Errorf("cannot make room for the snapshot: %w", err)
	}
	return nil
}

// cutFiller takes off what was prepared and not needed.
func (b *Box) cutFiller(pages *os.File) error {
	if b.filler == nil {
		return nil
	}
	size, err := pages.Seek(0, io.SeekEnd)
	page := make([]byte, len(b.filler))
	for ; size > 0 && err == nil; size -= int64(len(page)) {
		if _, err = pages.ReadAt(page, size-int64(len(page))); !bytes.Equal(page, b.filler) {
			break
		}
	}
	b.filler = nil
	if err != nil {
		return err
	}
	return pages.Truncate(size)
}

// pages is how much the guest holds, in memory and on its disk.
func (b *Box) pages() int64 {
	n := blocks(memoryPath(b.proc.Pid))
	var st unix.Stat_t
	if b.disk != nil && unix.Fstat(int(b.disk.Fd()), &st) == nil {
		n += st.Blocks * 512
	}
	return n
}

// Snapshot implements driver.Snapshotter. The sentry always goes on afterwards:
// one that ends by itself may be gone before its answer is out.
func (b *Box) Snapshot(ctx context.Context, dir string, keepRunning bool) error {
	if err := b.canSnapshot(); err != nil {
		return err
	}
	err := b.save(ctx, dir)
	if !keepRunning {
		b.kill()
		<-b.done
	}
	return err
}

func (b *Box) canSnapshot() error {
	if len(b.spec.Root.Binds) == 0 {
		return nil
	}
	return api.Errorf(api.CodeUnsupported, "cannot snapshot a box that shows host directories").
		WithFix("use a template that is an image: brig template ls")
}

// save pauses the box, writes its files and lets it go on.
func (b *Box) save(ctx context.Context, dir string) error {
	files, err := openSnapshot(dir, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return fmt.Errorf("cannot make the snapshot's files: %w", err)
	}
	defer closeAll(files)
	// While the guest stands still, the processor time is not its own.
	if err := b.limitCPUs(float64(runtime.NumCPU())); err != nil {
		return err
	}
	err = b.control(ctx, func(c *client) error { return c.save(files) })
	return errors.Join(err, b.limitCPUs(b.spec.Limits.CPUs), b.cutFiller(files[len(files)-1]))
}
