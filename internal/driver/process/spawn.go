package process

import (
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// spawner starts children from one thread that lives as long as it does: the
// kernel sends a child's parent-death signal when the thread ends that forked
// it, and Go ends threads as it likes.
type spawner struct {
	jobs chan job
	done chan struct{}
}

type job struct {
	cmd *exec.Cmd
	err chan<- error
}

// newSpawner also keeps from children what this process was handed by whoever
// started it; what Go opens is closed on exec anyway.
func newSpawner() *spawner {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // Linux before 5.11 has no such flag
	s := &spawner{jobs: make(chan job), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	defer close(s.done)
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for j := range s.jobs {
		j.err <- j.cmd.Start()
	}
}

func (s *spawner) start(cmd *exec.Cmd) error {
	err := make(chan error)
	s.jobs <- job{cmd, err}
	return <-err
}

// close stops the spawner. Children that it started attached are killed by that.
func (s *spawner) close() {
	close(s.jobs)
	<-s.done
}

// firstProgramFD keeps the agent's descriptor out of the way of those that a
// child gets.
const firstProgramFD = 64

// memoryProgram puts an executable into memory, where no mount option and no
// half-written file can keep it from running.
func memoryProgram(name string, binary []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL { // a kernel before 6.3 has no MFD_EXEC, and needs none
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	low := os.NewFile(uintptr(fd), name)
	defer low.Close()
	if _, err := low.Write(binary); err != nil {
		return nil, err
	}
	high, err := unix.FcntlInt(low.Fd(), unix.F_DUPFD_CLOEXEC, firstProgramFD)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(high), name), nil
}

// command is the agent's command for a box in dir, with channel on descriptor 3.
func command(program, channel *os.File, dir string, attached bool) *exec.Cmd {
	cmd := &exec.Cmd{
		Path:       "/proc/self/fd/" + strconv.Itoa(int(program.Fd())),
		Args:       []string{"brig-agent", "--root", dir},
		Env:        []string{}, // nothing of ours
		Dir:        dir,
		ExtraFiles: []*os.File{channel},
		SysProcAttr: &syscall.SysProcAttr{
			Setsid: true,
		},
	}
	if attached {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	return cmd
}

// limit bounds the agent, and with it every program that it starts: see the
// package comment for what that is worth.
func limit(pid int, l api.Limits) error {
	for what, n := range map[int]int64{unix.RLIMIT_DATA: l.MemoryBytes, unix.RLIMIT_FSIZE: l.DiskBytes, unix.RLIMIT_CORE: 0} {
		var old unix.Rlimit
		if err := unix.Prlimit(pid, what, nil, &old); err != nil {
			return os.NewSyscallError("prlimit", err)
		}
		v := min(uint64(n), old.Max)
		if err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: v, Max: v}, nil); err != nil {
			return os.NewSyscallError("prlimit", err)
		}
	}
	return nil
}

// channel makes the connection to an agent: our end, and the agent's.
func channel() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	host, inside := os.NewFile(uintptr(fds[0]), "channel"), os.NewFile(uintptr(fds[1]), "channel")
	defer host.Close() // FileConn has its own copy
	conn, err := net.FileConn(host)
	if err != nil {
		inside.Close()
		return nil, nil, err
	}
	return conn, inside, nil
}
