package sentry

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"gvisor.dev/gvisor/pkg/context"
	"gvisor.dev/gvisor/pkg/sentry/seccheck"
	pb "gvisor.dev/gvisor/pkg/sentry/seccheck/points/points_go_proto"
)

// Evidence is a page that a box's sentry shares with the host: what the sandbox
// kernel refused to the program. A clean EAGAIN from fork or ENOSPC from write is
// otherwise seen by the program alone, and a verdict must not rest on its word.
type Evidence struct {
	ForkRefused atomic.Int64 // clones that failed with EAGAIN
	DiskRefused atomic.Int64 // file operations that failed with ENOSPC
}

// EvidenceSize is the size of the file that holds an Evidence.
const EvidenceSize = 4096

// MapEvidence maps the page that fd holds. Both sides use it; the host's is
// read-only.
func MapEvidence(fd int, writable bool) (*Evidence, []byte, error) {
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	b, err := unix.Mmap(fd, 0, EvidenceSize, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return (*Evidence)(unsafe.Pointer(&b[0])), b, nil
}

var cloneCalls = []uintptr{unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_FORK, unix.SYS_VFORK}

var diskCalls = []uintptr{
	unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2,
	unix.SYS_OPEN, unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_CREAT, unix.SYS_MKDIR, unix.SYS_MKDIRAT,
	unix.SYS_MKNOD, unix.SYS_MKNODAT, unix.SYS_SYMLINK, unix.SYS_SYMLINKAT, unix.SYS_LINK, unix.SYS_LINKAT,
	unix.SYS_FALLOCATE, unix.SYS_FTRUNCATE, unix.SYS_TRUNCATE, unix.SYS_SENDFILE, unix.SYS_COPY_FILE_RANGE,
	unix.SYS_SPLICE, unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2,
}

// tracingTables guards the tables of tracing points by name. We name points by
// number, and to fill the tables takes 3 ms of every start.
//
//go:linkname tracingTables gvisor.dev/gvisor/pkg/sentry/seccheck.initOnce
var tracingTables sync.Once

// watchRefusals counts refusals from now on. Without the page there is no
// evidence, and verdicts rest on what the guest's statfs says.
func watchRefusals(fd int) {
	ev, _, err := MapEvidence(fd, true)
	unix.Close(fd)
	if err != nil {
		return
	}
	tracingTables.Do(func() {})
	s := &refusals{ev: ev}
	var reqs []seccheck.PointReq
	for _, calls := range [][]uintptr{cloneCalls, diskCalls} {
		for _, nr := range calls {
			reqs = append(reqs, seccheck.PointReq{Pt: seccheck.GetPointForSyscall(seccheck.SyscallRawExit, nr)})
		}
	}
	seccheck.Global.AppendSink(s, reqs)
}

// refusals is the sink of the sandbox kernel's own tracing.
type refusals struct {
	seccheck.SinkDefaults
	ev *Evidence
}

var _ seccheck.Sink = (*refusals)(nil)

// Name implements seccheck.Sink.
func (*refusals) Name() string { return "brig-refusals" }

// RawSyscall implements seccheck.Sink.
func (s *refusals) RawSyscall(_ context.Context, _ seccheck.FieldSet, info *pb.Syscall) error {
	if info.Exit == nil {
		return nil
	}
	switch unix.Errno(info.Exit.Errorno) {
	case unix.EAGAIN:
		if isClone(uintptr(info.Sysno)) {
			s.ev.ForkRefused.Add(1)
		}
	case unix.ENOSPC:
		s.ev.DiskRefused.Add(1)
	}
	return nil
}

// Syscall implements seccheck.Sink.
func (*refusals) Syscall(context.Context, seccheck.FieldSet, *pb.ContextData, pb.MessageType, proto.Message) error {
	return nil
}

func isClone(nr uintptr) bool {
	for _, c := range cloneCalls {
		if c == nr {
			return true
		}
	}
	return false
}
