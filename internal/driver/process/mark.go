package process

import (
	"bytes"
	"context"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// A box's processes are known by a mark that the kernel hands down: the hard
// limit of RLIMIT_RTTIME, set to a number made from the box's directory. It
// survives fork, exec, setsid, a cleared environment and the death of every
// parent, needs no pid in a file and so has no trouble with reused pids. The
// limit itself means nothing here: it is thousands of years of real-time
// scheduling.
const markResource = unix.RLIMIT_RTTIME

// killPatience bounds the killing of one box, beside the caller's context.
const killPatience = 10 * time.Second

// mark is the number for the box in dir, which is an absolute path.
func mark(dir string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(dir))
	return 1<<62 | h.Sum64()>>8
}

// setMark marks a process; its later children have the mark too.
func setMark(pid int, m uint64) error {
	return unix.Prlimit(pid, markResource, &unix.Rlimit{Cur: m, Max: m}, nil)
}

func hasMark(pid int, m uint64) bool {
	var l unix.Rlimit
	return unix.Prlimit(pid, markResource, nil, &l) == nil && l.Max == m
}

// killMarked kills processes with the mark until there is none.
func killMarked(ctx context.Context, m uint64) error {
	ctx, cancel := context.WithTimeout(ctx, killPatience)
	defer cancel()
	for {
		pids, err := marked(m)
		if err != nil || len(pids) == 0 {
			return err
		}
		if ctx.Err() != nil {
			return api.Errorf(api.CodeInternal, "cannot kill %d processes of the box: %w", len(pids), ctx.Err()).
				WithFix("look at process %d: ps -o pid,stat,wchan,args -p %d", pids[0], pids[0])
		}
		for _, pid := range pids {
			kill(pid, m)
		}
	}
}

// marked lists the live processes with the mark. Zombies have been dealt with:
// their parent has yet to look.
func marked(m uint64) ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err == nil && hasMark(pid, m) && !zombie(name) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func zombie(pid string) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return true // gone
	}
	// The state follows the name, which may hold anything in its parentheses.
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	return len(rest) < 2 || rest[1] == 'Z' || rest[1] == 'X'
}

// kill kills a process and waits a moment for its end. It holds the process by
// a pidfd and looks at the mark again, so that a pid that was reused since it
// was listed is not hit.
func kill(pid int, m uint64) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // gone
	}
	defer unix.Close(fd)
	if !hasMark(pid, m) || unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) != nil {
		return
	}
	// An error or a timeout only means that the caller looks again.
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
}
