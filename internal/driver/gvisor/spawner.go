package gvisor

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"github.com/brigdev/brig/internal/cgroup"
	"golang.org/x/sys/unix"
)

// fdMu keeps forks away from moments in which a descriptor exists without
// FD_CLOEXEC (gVisor's own code makes such): a sibling's control socket in a
// sentry would be a hole in the boundary. Forks take it for writing.
var fdMu sync.RWMutex

// spawner starts every box from one thread, which is never given back: a child's
// parent-death signal, network namespace and cgroup are that thread's. While it
// lives, so may the boxes.
type spawner struct {
	root     bool
	launcher *launcher
	requests chan spawnRequest
	done     chan struct{}
}

type spawnRequest struct {
	cmd   *exec.Cmd
	tree  *cgroup.Tree
	group *cgroup.Group
	reply chan error
}

func startSpawner(root bool) (*spawner, error) {
	l, err := newLauncher()
	if err != nil {
		return nil, err
	}
	s := &spawner{root: root, launcher: l, requests: make(chan spawnRequest), done: make(chan struct{})}
	ready := make(chan error)
	go s.run(ready)
	if err := <-ready; err != nil {
		l.close()
		return nil, err
	}
	return s, nil
}

func (s *spawner) run(ready chan<- error) {
	runtime.LockOSThread()
	defer close(s.done)
	if err := s.prepare(); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for r := range s.requests {
		r.reply <- s.fork(r)
	}
}

// prepare sets up the thread. All boxes share its empty network namespace: it
// holds nothing, and none has to be made or torn down per box.
func (s *spawner) prepare() error {
	if !s.root {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot make an empty network namespace: %w", err)
	}
	return nil
}

func (s *spawner) fork(r spawnRequest) error {
	var dir *os.File
	if r.group != nil && r.tree.V2() {
		f, err := r.group.OpenV2()
		if err != nil {
			return err
		}
		dir = f
		defer dir.Close()
		r.cmd.SysProcAttr.UseCgroupFD, r.cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	if r.group != nil && !r.tree.V2() {
		if err := r.group.EnterV1(); err != nil {
			return err
		}
		defer r.tree.LeaveV1()
	}
	fdMu.Lock()
	defer fdMu.Unlock()
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("cannot keep descriptors from a new box: %w", err)
	}
	return r.cmd.Start()
}

// start starts p in group (nil: none).
func (s *spawner) start(p process, tree *cgroup.Tree, group *cgroup.Group) (*os.Process, error) {
	report, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer report.Close()
	r := spawnRequest{cmd: s.launcher.command(p, w), tree: tree, group: group, reply: make(chan error, 1)}
	select {
	case s.requests <- r:
		err = <-r.reply
	case <-s.done:
		err = fmt.Errorf("cannot start a box: because the driver is closed")
	}
	w.Close()
	if err != nil {
		return nil, err
	}
	return launched(r.cmd, report)
}

func (s *spawner) close() error {
	close(s.requests)
	<-s.done
	s.launcher.close()
	return nil
}
