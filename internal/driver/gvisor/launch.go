package gvisor

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/brigdev/brig/internal/guest/agent"
	"golang.org/x/sys/unix"
)

// launcher starts processes in namespaces of their own without a fork of this
// process: Go's goes without vfork when it makes a user namespace, and copies all
// page tables.
type launcher struct {
	helper  *os.File // the helper program, in memory
	program *os.File // this binary
}

// process is what a launcher starts: this binary, as nobody in user, pid, mount,
// ipc and uts namespaces of its own and in a session of its own. Not as root, it
// is this user's uid that stands behind nobody, and the network namespace is its
// own too.
type process struct {
	name     string // argv[0]
	args     []string
	env      []string
	files    []*os.File // its descriptors from 3 up
	caps     []uintptr  // all that it may ever have
	attached bool       // dies with the thread that starts it
}

// highDescriptor is above all that a process is given: os/exec moves descriptors
// over lower ones before it executes /proc/self/fd/N.
const highDescriptor = 255

func newLauncher() (*launcher, error) {
	fd, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open this program: %w", err)
	}
	l := &launcher{program: os.NewFile(uintptr(fd), "brig")}
	if l.helper, err = sealedProgram("brig-launch", agent.Launch()); err != nil {
		l.program.Close()
		return nil, err
	}
	return l, nil
}

func (l *launcher) close() { closeAll([]*os.File{l.helper, l.program}) }

// sealedProgram puts a program into memory, where nothing can change it.
func sealedProgram(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3 all of them can be executed
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make a memory file: %w", err)
	}
	low := os.NewFile(uintptr(fd), name)
	defer low.Close()
	if _, err := low.Write(content); err != nil {
		return nil, fmt.Errorf("cannot write a memory file: %w", err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("cannot seal a memory file: %w", err)
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, highDescriptor)
	if err != nil {
		return nil, fmt.Errorf("cannot have %d open files: %w", highDescriptor, err)
	}
	return os.NewFile(uintptr(high), name), nil
}

// command is the helper's command line for p, which reports to report.
func (l *launcher) command(p process, report *os.File) *exec.Cmd {
	var caps uint64
	for _, c := range p.caps {
		caps |= 1 << c
	}
	attached := "0"
	if p.attached {
		attached = "1"
	}
	return &exec.Cmd{
		Path: fmt.Sprintf("/proc/self/fd/%d", l.helper.Fd()),
		Args: append([]string{"brig-launch", strconv.FormatUint(caps, 10), attached, strconv.Itoa(3 + len(p.files)), p.name}, p.args...),
		Env:  p.env, Dir: "/",
		ExtraFiles:  append(append([]*os.File{}, p.files...), l.program, report),
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
}

// The helper's steps, as in launch.c. The first two are no failures.
const (
	stepPID = iota
	stepParentLives
)

var stepNames = map[int32]string{
	2: "pipe", 3: "setgroups", 4: "clone", 5: "map users", 6: "become nobody",
	7: "keep capabilities", 8: "set the death signal", 9: "execute",
}

// launched waits for a started helper, which ends at once, and returns the
// process that it left.
func launched(helper *exec.Cmd, report io.Reader) (*os.Process, error) {
	waitErr := helper.Wait()
	// The report ends when the process has executed the program, or has died.
	records, err := io.ReadAll(io.LimitReader(report, 1<<10))
	pid := 0
	for r := records; len(r) >= 8 && err == nil; r = r[8:] {
		step, value := int32(binary.NativeEndian.Uint32(r)), int32(binary.NativeEndian.Uint32(r[4:]))
		switch step {
		case stepPID:
			pid = int(value)
		case stepParentLives:
		default:
			err = fmt.Errorf("%s: %w", stepNames[step], syscall.Errno(value))
		}
	}
	if err == nil {
		err = waitErr
	}
	if err == nil && pid == 0 {
		err = fmt.Errorf("the launcher said nothing")
	}
	if pid == 0 {
		return nil, fmt.Errorf("cannot launch: %w", err)
	}
	p, findErr := os.FindProcess(pid) // our child: nobody else can take its pid
	if findErr != nil {
		return nil, fmt.Errorf("cannot launch: %w", findErr)
	}
	if err != nil {
		_ = p.Kill()
		_, _ = p.Wait()
		return nil, fmt.Errorf("cannot launch: %w", err)
	}
	return p, nil
}
