package fake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// find chooses the program's script: see the package comment.
func (p *program) find() (script string, found bool) {
	argv := p.req.Argv
	if len(argv) > 2 && argv[1] == "-c" && !p.warm {
		return argv[2], true
	}
	for i, arg := range argv {
		n, err := p.a.box.state.files.regular(inside(p.req.Cwd, arg))
		if err == nil {
			return string(n.Data), true
		}
		if p.warm || i > 8 {
			break
		}
	}
	verb, _, _ := strings.Cut(argv[0], " ")
	return strings.Join(argv, " "), !p.warm && known(verb)
}

// execute runs the script to its end.
func (p *program) execute() status {
	if !p.found {
		p.stderr(fmt.Sprintf("brig: cannot run %.200s: not found\n", p.req.Argv[0]))
		return exited(127)
	}
	for i, line := range strings.Split(p.script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p.a.box.gate(p.ctx)
		verb, rest, _ := strings.Cut(line, " ")
		if !known(verb) {
			p.stderr(fmt.Sprintf("line %d: there is no instruction %.50q\n", i+1, verb))
			return exited(127)
		}
		err := p.step(verb, strings.TrimSpace(rest))
		if killer := context.Cause(p.ctx); killer != nil {
			return asStatus(killer)
		}
		if st, ok := err.(status); ok {
			return st
		}
		if err != nil {
			p.stderr(fmt.Sprintf("line %d: %s: %v\n", i+1, verb, err))
			return exited(1)
		}
	}
	return exited(0)
}

// asStatus is how a program ends whose context was ended.
func asStatus(cause error) status {
	if st, ok := cause.(status); ok {
		return st
	}
	return signalled(syscall.SIGKILL)
}

func known(verb string) bool {
	return slices.Contains(strings.Fields(`stdout stderr echo cat flood env random hostname id mode sizes
		write append churn copy rm mkdir symlink fifo sparse fill
		sleep hang cpu spin mem fork pid daemon alive stop listen http true false exit signal oom die mute lie`), verb)
}

// id is whom the program runs as.
func (p *program) id() string {
	uid, gid := uint32(ordinaryID), uint32(ordinaryID)
	switch {
	case p.req.Flags&guest.ExecRoot != 0:
		uid, gid = 0, 0
	case p.req.Flags&guest.ExecAs != 0:
		uid, gid = p.req.UID, p.req.GID
	}
	return fmt.Sprintf("%d %d\n", uid, gid)
}

// step runs one instruction. A status as the error ends the program so.
func (p *program) step(verb, rest string) error {
	switch verb {
	case "stdout", "echo", "stderr", "cat", "flood", "env", "random", "hostname", "id", "mode", "sizes":
		return p.print(verb, rest)
	case "write", "append", "churn", "copy", "rm", "mkdir", "symlink", "fifo", "sparse", "fill":
		return p.change(verb, rest)
	case "sleep", "hang", "cpu", "spin", "mem", "fork", "pid", "daemon", "alive", "stop":
		return p.use(verb, rest)
	case "listen", "http":
		return p.serve(verb, rest)
	}
	return p.end(verb, rest)
}

// print runs the instructions that write output.
func (p *program) print(verb, rest string) error {
	switch verb {
	case "stdout", "echo":
		p.stdout(line(rest))
	case "stderr":
		p.stderr(line(rest))
	case "cat":
		if rest == "" {
			return p.echoInput()
		}
		n, err := p.a.box.state.files.regular(inside(p.req.Cwd, rest))
		if err != nil {
			return err
		}
		p.stdout(string(n.Data))
	case "flood":
		return p.flood(rest)
	case "env":
		p.stdout(p.environment(rest))
	case "random":
		p.stdout(fmt.Sprintf("%016x\n", p.a.draw()))
	case "hostname":
		p.stdout(p.a.host() + "\n")
	case "id":
		p.stdout(p.id())
	case "sizes":
		p.stdout(p.size())
		if b, err := p.in.take(); err == nil {
			p.echo(b)
			p.stdout(p.size())
		}
	case "mode":
		p.stdout(map[bool]string{true: "warm\n", false: "cold\n"}[p.warm])
	}
	return nil
}

// end runs the instructions that end the program, the box or the agent's honesty.
func (p *program) end(verb, rest string) error {
	n, err := strconv.Atoi(rest)
	switch verb {
	case "true":
		return exited(0)
	case "false":
		return exited(1)
	case "exit":
		if err != nil {
			return err
		}
		return exited(n)
	case "signal":
		if err != nil || n < 1 || n > 64 {
			return syscall.EINVAL
		}
		return signalled(syscall.Signal(n))
	case "oom":
		p.a.box.charge(func(u *driver.Usage) { u.OOMKills++; u.PeakMemoryBytes = p.a.box.limits.MemoryBytes })
		if rest == "box" {
			p.a.box.end(driver.Death{OOM: true, Detail: "the script said: oom box"})
		}
		return signalled(syscall.SIGKILL)
	case "die":
		p.a.box.end(driver.Death{Detail: "the script said: die " + rest})
	case "mute":
		p.a.silence()
	case "lie":
		p.a.lie(Lie(rest), p.stream())
	}
	return nil
}

func (p *program) stdout(s string) { p.output(guest.TypeStdout, s) }
func (p *program) stderr(s string) { p.output(guest.TypeStderr, s) }

func (p *program) output(t guest.Type, s string) {
	if p.terminal() {
		t, s = guest.TypeStdout, strings.ReplaceAll(s, "\n", "\r\n")
	}
	for len(s) > 0 && p.ctx.Err() == nil {
		n := p.say(t, s)
		s = s[n:]
	}
}

func (p *program) flood(rest string) error {
	left := int64(1) << 62
	if rest != "" {
		n, err := api.ParseBytes(rest)
		if err != nil {
			return err
		}
		left = n
	}
	chunk := strings.Repeat("x", guest.MaxData)
	for left > 0 && p.ctx.Err() == nil {
		n := min(left, guest.MaxData)
		p.stdout(chunk[:n])
		left -= n
	}
	return nil
}

// echoInput is cat without a name: standard input to its end, each piece
// granted again once it is passed on.
func (p *program) echoInput() error {
	for {
		b, err := p.in.take()
		if err != nil {
			return nil
		}
		p.echo(b)
		p.stdout(string(b))
	}
}

// echo makes room for as much input again. A terminal shows what was typed.
func (p *program) echo(b []byte) {
	if p.terminal() {
		p.stdout(string(b))
	}
	p.grant(len(b))
}

func (p *program) environment(name string) string {
	if name != "" {
		return p.req.Env[name] + "\n"
	}
	var b strings.Builder
	keys := make([]string, 0, len(p.req.Env))
	for k := range p.req.Env {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, "%s=%s\n", k, p.req.Env[k])
	}
	return b.String()
}

// text reads a TEXT argument.
func text(s string) (string, bool) {
	if lit, ok := strings.CutPrefix(s, "$"); ok && strings.HasPrefix(lit, `"`) {
		if v, err := strconv.Unquote(lit); err == nil {
			return v, true
		}
	}
	return s, false
}

// line is a TEXT argument to print.
func line(s string) string {
	v, exact := text(s)
	if exact {
		return v
	}
	return v + "\n"
}

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// zeros reads as n zero bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
