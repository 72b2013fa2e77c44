package fake

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// tick is how often a spinning program is charged for its time.
const tick = 5 * time.Millisecond

// change runs the instructions that change files.
func (p *program) change(verb, rest string) error {
	fs := p.a.box.state.files
	first, second, _ := strings.Cut(rest, " ")
	name, second := inside(p.req.Cwd, first), strings.TrimSpace(second)
	switch verb {
	case "rm":
		return fs.remove(name, true)
	case "mkdir":
		return fs.mkdir(name, 0o755)
	case "symlink":
		return p.make(inside(p.req.Cwd, second), &node{Kind: api.FileSymlink, Mode: 0o777, Target: first})
	case "fifo":
		return p.make(name, &node{Kind: api.FileOther, Mode: 0o644})
	case "copy":
		n, err := fs.regular(name)
		if err != nil {
			return err
		}
		return p.make(inside(p.req.Cwd, second), n)
	case "churn":
		n, err := strconv.Atoi(second)
		for ; n > 0 && err == nil && p.ctx.Err() == nil; n-- {
			err = p.make(name, &node{Kind: api.FileRegular, Mode: 0o644})
		}
		return err
	case "sparse", "fill":
		size, err := api.ParseBytes(second)
		if err != nil {
			return err
		}
		return p.zeros(name, size, verb == "sparse")
	}
	v, _ := text(second)
	data := []byte(v)
	if old, err := fs.regular(name); err == nil && verb == "append" {
		data = append(append([]byte(nil), old.Data...), data...)
	}
	return p.make(name, &node{Kind: api.FileRegular, Mode: 0o644, Data: data})
}

// make puts a node in its place, and counts it when the disk refuses.
func (p *program) make(name string, n *node) error {
	err := p.a.box.state.files.put(name, n)
	if err == syscall.ENOSPC {
		p.a.box.charge(func(u *driver.Usage) { u.DiskRefused++ })
	}
	return err
}

// zeros makes a file of zeros; one that is larger than the disk is refused
// before it takes memory of ours.
func (p *program) zeros(name string, size int64, sparse bool) error {
	n := &node{Kind: api.FileRegular, Mode: 0o644, Length: size}
	if !sparse {
		n.Length = 0
		n.Data = make([]byte, min(size, p.a.box.limits.DiskBytes+1))
	}
	return p.make(name, n)
}

// use runs the instructions that use time, memory and processes.
func (p *program) use(verb, rest string) error {
	switch verb {
	case "hang":
		<-p.ctx.Done()
	case "spin":
		for wait(p.ctx, tick) == nil {
			if !p.charge(tick) {
				return signalled(syscall.SIGXCPU)
			}
		}
	case "sleep", "cpu":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		if verb == "sleep" {
			_ = wait(p.ctx, d) // a killed program is seen after the step
		} else if !p.charge(d) {
			return signalled(syscall.SIGXCPU)
		}
	case "mem":
		n, err := api.ParseBytes(rest)
		if err != nil {
			return err
		}
		return p.hold(n)
	case "fork":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		return p.fork(n)
	case "pid", "daemon":
		pid := p.pid
		if verb == "daemon" {
			pid = p.a.daemon(p)
		}
		return p.make(inside(p.req.Cwd, rest), &node{Kind: api.FileRegular, Mode: 0o644, Data: []byte(strconv.Itoa(pid))})
	case "alive", "stop":
		n, err := p.a.box.state.files.regular(inside(p.req.Cwd, rest))
		if err != nil {
			return err
		}
		pid, _ := strconv.Atoi(string(n.Data))
		return p.a.find(pid, verb == "stop")
	}
	return nil
}

// hold sets the program's memory; above the limit it is killed.
func (p *program) hold(n int64) error {
	limit := p.a.box.limits.MemoryBytes
	if n > limit {
		return p.end("oom", "")
	}
	grown := n - p.mem
	p.mem = n
	p.a.box.charge(func(u *driver.Usage) { u.MemoryBytes += grown })
	return nil
}

// fork makes n processes more, or as many as the limit allows.
func (p *program) fork(n int) error {
	limit := p.a.box.limits.PIDs
	if p.req.NProc > 0 {
		limit = min(limit, int(p.req.NProc))
	}
	if n < 0 || n >= limit {
		p.tasks = uint32(limit)
		p.a.box.charge(func(u *driver.Usage) { u.ForkRefused++ })
		return fmt.Errorf("cannot make %d processes: %w", n, syscall.EAGAIN)
	}
	p.tasks = max(p.tasks, uint32(n+1))
	return nil
}
