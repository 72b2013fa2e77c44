package gvisor

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/cgroup"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/runsc/boot"
)

// Box is one sentry with its guest.
type Box struct {
	d     *Driver
	spec  driver.BoxSpec
	group *cgroup.Group // nil without any cgroup
	conn  net.Conn
	proc  *os.Process // the boot process
	gofer *os.Process // nil without host directories

	evidence     *sentry.Evidence
	evidencePage []byte
	logFile      *os.File
	disk         *os.File // what the guest writes; nil when that is in memory
	filler       []byte   // a page of what PrepareSnapshot wrote

	done      chan struct{}
	destroy   sync.Once
	destroyed chan struct{}
	err       error // of Destroy

	mu         sync.Mutex
	killed     bool // by us
	overMemory bool
	peak       int64 // seen by the memory watch
	death      driver.Death
}

var (
	_ driver.Box         = (*Box)(nil)
	_ driver.Usager      = (*Box)(nil)
	_ driver.Snapshotter = (*Box)(nil)
	_ driver.Pauser      = (*Box)(nil)
	_ driver.UpperTarer  = (*Box)(nil)

	_ driver.Foregrounder     = (*Box)(nil)
	_ driver.SnapshotPreparer = (*Box)(nil)
)

func newBox(d *Driver, spec driver.BoxSpec) *Box {
	return &Box{d: d, spec: spec, done: make(chan struct{}), destroyed: make(chan struct{})}
}

type handleData struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // field 22 of /proc/PID/stat: a pid alone may be another process by then
}

// Handle implements driver.Box.
func (b *Box) Handle() driver.Handle {
	data, _ := json.Marshal(handleData{PID: b.proc.Pid, Start: startTime(b.proc.Pid)})
	return driver.Handle{Driver: Name, Version: handleVersion, ID: b.spec.ID, Data: data}
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

// adopt waits for the boot process in a goroutine that ends with it; Destroy
// waits for that.
func (b *Box) adopt(p *os.Process) {
	b.proc = p
	go func() {
		state, err := p.Wait()
		b.mu.Lock()
		b.death = b.autopsy(state, err)
		b.mu.Unlock()
		close(b.done)
	}()
}

// autopsy reads the evidence of a death, while the cgroup still stands.
func (b *Box) autopsy(state *os.ProcessState, err error) driver.Death {
	d := driver.Death{Killed: b.killed && !b.overMemory, OOM: b.overMemory}
	var u cgroup.Usage
	if b.group != nil {
		u = b.group.Usage()
	}
	if err != nil {
		d.Detail = err.Error()
		return d
	}
	ws, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case d.Killed || d.OOM:
	case u.OOMKills > 0:
		d.OOM = true
	case ws.Exited() && ws.ExitStatus() == 2 && u.PIDsRefused > 0:
		d.PIDs = true // the sentry panicked because it could not make a thread
	}
	d.Detail = state.String()
	if said := b.log(); said != "" {
		d.Detail += ": " + said
	}
	return d
}

// log is the end of what the sentry wrote to its standard error: Go's panics.
func (b *Box) log() string {
	if b.logFile == nil {
		return ""
	}
	buf := make([]byte, 4096)
	st, err := b.logFile.Stat()
	if err != nil {
		return ""
	}
	n, _ := b.logFile.ReadAt(buf, 0)
	if st.Size() <= int64(n) {
		return strings.TrimSpace(string(buf[:n]))
	}
	return strings.TrimSpace(string(buf[:n])) + " …"
}

func (b *Box) kill() {
	b.mu.Lock()
	b.killed = true
	b.mu.Unlock()
	if b.proc != nil {
		_ = b.proc.Kill() // the init of its pid namespace: its stubs go with it
	}
}

// Usage implements driver.Usager.
func (b *Box) Usage() (driver.Usage, error) {
	var u driver.Usage
	if b.group != nil {
		g := b.group.Usage()
		u = driver.Usage{CPU: g.CPU, MemoryBytes: g.MemoryBytes, PeakMemoryBytes: g.PeakMemoryBytes, OOMKills: g.OOMKills}
	}
	b.mu.Lock()
	u.PeakMemoryBytes = max(u.PeakMemoryBytes, b.peak)
	if b.overMemory {
		u.OOMKills++
	}
	ev := b.evidence
	if ev != nil {
		u.ForkRefused, u.DiskRefused = ev.ForkRefused.Load(), ev.DiskRefused.Load()
	}
	b.mu.Unlock()
	return u, nil
}

// TarUpper implements driver.UpperTarer. The sentry reads each file into its own
// memory first: one that does not fit ends the box.
func (b *Box) TarUpper(ctx context.Context, to *os.File) error {
	return b.control(ctx, func(c *client) error { return c.tarUpper(b.spec.ID, to) })
}

// Foreground implements driver.Foregrounder.
func (b *Box) Foreground() error {
	if b.group == nil || !b.spec.Background {
		return nil
	}
	return b.group.SetBackground(false)
}

// Pause implements driver.Pauser.
func (b *Box) Pause(ctx context.Context) error {
	return b.control(ctx, func(c *client) error { return c.call(boot.ContMgrPause, nil, nil) })
}

// Resume implements driver.Pauser.
func (b *Box) Resume(ctx context.Context) error {
	return b.control(ctx, func(c *client) error { return c.call(boot.ContMgrResume, nil, nil) })
}

// control makes one call on a connection of its own; a cancelled context ends
// the connection, not the box.
func (b *Box) control(ctx context.Context, do func(*client) error) error {
	c, err := dialControl(b.d.root, b.spec.ID)
	if err != nil {
		return api.Errorf(api.CodeConflict, "cannot reach the box: %w", err)
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	return do(c)
}

// Destroy implements driver.Box.
func (b *Box) Destroy(context.Context) error {
	b.destroy.Do(func() {
		b.d.memory.drop(b)
		b.kill()
		if b.proc != nil {
			<-b.done
		} else {
			close(b.done)
		}
		b.err = b.clean()
		close(b.destroyed)
	})
	<-b.destroyed
	return b.err
}

// clean removes what is left when the processes are gone.
func (b *Box) clean() error {
	if b.gofer != nil {
		_ = b.gofer.Kill()
		_, _ = b.gofer.Wait()
	}
	if b.conn != nil {
		b.conn.Close()
	}
	if b.logFile != nil {
		b.logFile.Close()
	}
	if b.disk != nil {
		// ext4 writes a file that was once truncated to its disk when it is closed:
		// let there be nothing to write.
		_ = b.disk.Truncate(0)
		b.disk.Close()
	}
	b.mu.Lock()
	if b.evidencePage != nil {
		page := b.evidencePage
		b.evidence, b.evidencePage = nil, nil
		_ = unix.Munmap(page)
	}
	b.mu.Unlock()
	if err := os.Remove(b.d.socketPath(b.spec.ID)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("cannot remove the control socket: %w", err)
	}
	if b.group != nil {
		if err := b.group.Remove(); err != nil {
			return fmt.Errorf("cannot remove the cgroup: %w", err)
		}
	}
	return nil
}
