package gvisor

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"github.com/brigdev/brig/internal/cgroup"
	"golang.org/x/sys/unix"
)

// fdMu keeps forks away from moments in which a descriptor exists without
// FD_CLOEXEC (gVisor's own code makes such): a sibling's control socket in a
// sentry would be a hole in the boundary. Forks take it for writing.
var fdMu sync.RWMutex

// keptCaps is the bounding set of a starting sentry; it gives up all but
// SYS_PTRACE itself before any guest code runs.
var keptCaps = map[uintptr]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_DAC_READ_SEARCH: true, unix.CAP_FOWNER: true,
	unix.CAP_FSETID: true, unix.CAP_SYS_CHROOT: true, unix.CAP_SYS_ADMIN: true, unix.CAP_SETPCAP: true,
	unix.CAP_SYS_PTRACE: true, unix.CAP_SETUID: true, unix.CAP_SETGID: true,
}

// spawner forks every box from one thread, which is never given back: a child's
// parent-death signal, network namespace, cgroup and bounding set are that
// thread's. While it lives, so may the boxes.
type spawner struct {
	root     bool
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
	s := &spawner{root: root, requests: make(chan spawnRequest), done: make(chan struct{})}
	ready := make(chan error)
	go s.run(ready)
	return s, <-ready
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
	widenDescriptors()
	if !s.root {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot make an empty network namespace: %w", err)
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if !keptCaps[c] {
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) // EINVAL: this kernel does not know it
		}
	}
	return nil
}

// widenDescriptors makes the descriptor table 256 wide, so that a child's
// inherited table need not grow: growing waits 5 to 15 ms for an RCU period.
func widenDescriptors() {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return
	}
	defer null.Close()
	var st unix.Stat_t
	if unix.Fstat(255, &st) == nil {
		return
	}
	_ = unix.Dup3(int(null.Fd()), 255, unix.O_CLOEXEC)
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

// start forks cmd into group (nil: none).
func (s *spawner) start(cmd *exec.Cmd, tree *cgroup.Tree, group *cgroup.Group) error {
	r := spawnRequest{cmd: cmd, tree: tree, group: group, reply: make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.reply
	case <-s.done:
		return fmt.Errorf("cannot start a box: because the driver is closed")
	}
}

func (s *spawner) close() error {
	close(s.requests)
	<-s.done
	return nil
}

// attributes of a boot process: nobody in a user namespace of its own. Not as
// root, it is this user's uid that stands behind the mapping.
func (s *spawner) attributes(attached bool) *syscall.SysProcAttr {
	const nobody = 65534
	a := &syscall.SysProcAttr{
		Setsid:      true,
		Cloneflags:  unix.CLONE_NEWIPC | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWUSER,
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: !s.root},
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: nobody, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: nobody, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SETPCAP, unix.CAP_SYS_PTRACE},
	}
	if !s.root {
		a.Cloneflags |= unix.CLONE_NEWNET
		a.UidMappings[0].HostID = os.Getuid()
		a.GidMappings[0].HostID = os.Getgid()
	}
	if attached {
		a.Pdeathsig = syscall.SIGKILL
	}
	return a
}
