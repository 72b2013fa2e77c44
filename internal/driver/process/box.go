package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/undo"
)

// undoPatience bounds the taking back of a failed Create.
const undoPatience = 15 * time.Second

// Box is one box.
type Box struct {
	driver *Driver
	id     string
	dir    string
	conn   net.Conn
	done   chan struct{} // closed by wait, when the agent is gone

	mu     sync.Mutex // guards what follows
	killed bool       // by Destroy, before the agent was gone
	death  driver.Death
}

var _ driver.Box = (*Box)(nil)

// Create implements driver.Driver. Root and Agent of the spec do not apply: the
// root filesystem is the host's.
func (d *Driver) Create(ctx context.Context, spec driver.BoxSpec) (driver.Box, error) {
	if spec.Snapshot != "" {
		return nil, api.Errorf(api.CodeUnsupported, "cannot restore a snapshot: because plain processes have none").WithFix("use a cold start, or --isolation gvisor")
	}
	if spec.Link != nil {
		return nil, api.Errorf(api.CodeUnsupported, "cannot give a box a network of its own: because plain processes have the host's").WithFix("leave egress out, or use --isolation gvisor")
	}
	if err := ctx.Err(); err != nil {
		return nil, api.Errorf(api.CodeCancelled, "cannot make a box: %w", err)
	}
	dir, err := d.boxDir(spec.ID)
	if err != nil {
		return nil, err
	}
	var back undo.Stack
	b, err := d.create(spec, dir, &back)
	if err != nil {
		made := api.Errorf(api.CodeOf(err), "cannot make box %s: because %w", spec.ID, err).WithFix("%s", api.FixOf(err))
		return nil, errors.Join(made, back.Run(ctx, undoPatience))
	}
	d.log.Debug("box made", "driver", d.Name(), "box", spec.ID, "dir", dir)
	return b, nil
}

func (d *Driver) create(spec driver.BoxSpec, dir string, back *undo.Stack) (*Box, error) {
	if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		return nil, api.Errorf(api.CodeConflict, "its directory exists").WithFix("destroy it first: brig gc")
	} else if err != nil {
		return nil, err
	}
	back.Add("remove the box", func(ctx context.Context) error { return remove(ctx, dir) })
	if err := os.Mkdir(filepath.Join(dir, "work"), 0o700); err != nil {
		return nil, err
	}
	conn, inside, err := channel()
	if err != nil {
		return nil, err
	}
	defer inside.Close()
	back.Add("close the channel", func(context.Context) error { return conn.Close() })
	cmd := command(d.program, inside, dir, spec.Attached)
	if err := d.spawner.start(cmd); err != nil {
		return nil, err
	}
	b := &Box{driver: d, id: spec.ID, dir: dir, conn: conn, done: make(chan struct{})}
	back.Add("stop the agent", func(context.Context) error {
		defer cmd.Wait()
		return cmd.Process.Kill()
	})
	// The agent starts nothing before it is asked to, and nobody has its channel
	// yet: all that it will ever start has the mark and the limits.
	if err := setMark(cmd.Process.Pid, mark(dir)); err != nil {
		return nil, os.NewSyscallError("prlimit", err)
	}
	if err := limit(cmd.Process.Pid, spec.Limits.WithDefaults()); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.boxes[spec.ID] = b
	d.mu.Unlock()
	go b.wait(cmd)
	return b, nil
}

// wait reaps the agent. Destroy waits for it.
func (b *Box) wait(cmd *exec.Cmd) {
	err := cmd.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.death = driver.Death{Killed: b.killed, Detail: "the agent ended"}
	if err != nil {
		b.death.Detail = fmt.Sprintf("the agent ended: %v", err)
	}
	close(b.done)
}

// Handle implements driver.Box.
func (b *Box) Handle() driver.Handle {
	return driver.Handle{Driver: b.driver.Name(), Version: handleVersion, ID: b.id}
}

// Channel implements driver.Box.
func (b *Box) Channel() net.Conn { return b.conn }

// Done implements driver.Box.
func (b *Box) Done() <-chan struct{} { return b.done }

// Death implements driver.Box.
func (b *Box) Death() driver.Death {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.death
}

// Destroy implements driver.Box.
func (b *Box) Destroy(ctx context.Context) error {
	b.mu.Lock()
	b.killed = true
	b.mu.Unlock()
	if err := remove(ctx, b.dir); err != nil {
		return err
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return api.Errorf(api.CodeInternal, "cannot see the end of box %s: %w", b.id, ctx.Err()).WithFix("run brig gc")
	}
	b.conn.Close()
	b.driver.mu.Lock()
	delete(b.driver.boxes, b.id)
	b.driver.mu.Unlock()
	return nil
}

// remove ends a box of which only the directory is known.
func remove(ctx context.Context, dir string) error {
	if err := killMarked(ctx, mark(dir)); err != nil {
		return err
	}
	err := os.RemoveAll(dir)
	if errors.Is(err, fs.ErrPermission) {
		openUp(dir)
		err = os.RemoveAll(dir)
	}
	if err != nil {
		return api.Errorf(api.CodeInternal, "cannot remove the box's directory: %w", err).WithFix("remove it: rm -rf %s", dir)
	}
	return nil
}

// openUp makes directories writable that a program closed even to their owner.
// Nothing runs in the box any more, so nothing can swap them for symlinks.
func openUp(dir string) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(path, 0o700) // what is still closed, RemoveAll reports
		}
		return nil
	})
}
