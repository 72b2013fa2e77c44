package fake

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest"
)

// agent is the guest's side of one box. serve runs on one goroutine, each
// program on another.
type agent struct {
	box  *Box
	puts map[uint32]*upload // files on their way in

	out   sync.Mutex // guards what follows: the channel has one writer at a time
	frame []byte
	mute  bool

	mu       sync.Mutex // guards what follows; the fields of outlets as well
	change   *sync.Cond // of frozen and of any outlet
	frozen   bool
	programs map[int]*program // by pid
	daemons  map[int]*program // what a program left behind, by pid
	pids     int              // the last one that was given
	links    map[uint32]*link
	ports    map[int]func(net.Conn) // what programs serve
	hostname string
	random   *rand.ChaCha8
}

func newAgent(b *Box) *agent {
	a := &agent{
		box: b, mute: b.fault.Mute, hostname: b.spec.Hostname, pids: firstPID,
		puts: map[uint32]*upload{}, programs: map[int]*program{}, daemons: map[int]*program{},
		links: map[uint32]*link{}, ports: map[int]func(net.Conn){}, random: rand.NewChaCha8([32]byte{}),
	}
	a.change = sync.NewCond(&a.mu)
	return a
}

// firstPID is the agent's own.
const firstPID = 1

// serve answers the host until the channel closes, which ends the box as it
// ends a real one.
func (a *agent) serve() {
	defer context.AfterFunc(a.box.ctx, a.wake)()
	r := bufio.NewReaderSize(a.box.inside, 4<<10)
	var buf []byte
	for {
		f, err := guest.ReadFrame(r, buf)
		if err != nil {
			a.box.end(driver.Death{Detail: "the channel closed"})
			return
		}
		buf = f.Payload[:cap(f.Payload)]
		a.dispatch(f)
	}
}

// wake has everybody who waits look again.
func (a *agent) wake() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change.Broadcast()
}

func (a *agent) dispatch(f guest.Frame) {
	switch f.Type {
	case guest.TypeStart:
		a.start(f)
	case guest.TypePut, guest.TypeData, guest.TypeEnd:
		a.put(f)
	case guest.TypeGet, guest.TypeRead:
		a.get(f)
	case guest.TypeStat:
		a.stat(f)
	case guest.TypeList:
		a.list(f)
	case guest.TypeMkdir, guest.TypeRemove, guest.TypeRename, guest.TypeSymlink:
		a.alter(f)
	case guest.TypeExec:
		a.exec(f)
	case guest.TypeAttach:
		a.attach(f)
	case guest.TypeStdin, guest.TypeStdinEOF, guest.TypeSignal, guest.TypeResize, guest.TypeWindow, guest.TypeHangUp:
		if l := a.linkOf(f.Stream); l != nil {
			l.take(f)
		} else {
			a.toProgram(f)
		}
	case guest.TypeDial:
		a.dial(f)
	case guest.TypeWatch:
		a.watchDir(f)
	case guest.TypeFreeze, guest.TypeThaw:
		a.freeze(f)
	case guest.TypePrime:
		a.send(guest.TypeStarted, f.Stream, guest.Fields(nil).U32(1))
	case guest.TypeReset:
		a.reset(f)
	default:
		a.refuse(f.Stream, syscall.ENOSYS)
	}
}

func (a *agent) start(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	seed := r.Bytes()
	r.U64() // the clock is the host's anyway
	hostname, machineID := string(r.Bytes()), string(r.Bytes())
	if r.Err != nil || len(seed) < 32 {
		a.refuse(f.Stream, syscall.EBADMSG)
		return
	}
	a.dropLinks()
	a.mu.Lock()
	a.random.Seed([32]byte(seed[:32]))
	if hostname != "" {
		a.hostname = hostname
	}
	a.frozen = false
	for _, p := range a.programs {
		p.outlet.attached = false
	}
	a.change.Broadcast()
	a.mu.Unlock()
	if err := a.name(hostname, machineID); err != nil {
		a.refuse(f.Stream, err)
		return
	}
	a.resume()
	if a.box.fault.Lie != "" {
		a.lie(a.box.fault.Lie, f.Stream)
		return
	}
	a.send(guest.TypeReady, f.Stream, guest.Fields(nil).U32(guest.Version).String("brig-fake-agent"))
}

// freeze handles FREEZE and THAW. Between them no program says anything: see say.
func (a *agent) freeze(f guest.Frame) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen = f.Type == guest.TypeFreeze
	a.send(guest.TypeOK, f.Stream, nil)
	a.change.Broadcast()
}

// draw gives 64 random bits, chosen by the seed of START.
func (a *agent) draw() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.random.Uint64()
}

// send writes one frame. An error needs no answer: serve meets it too.
func (a *agent) send(t guest.Type, stream uint32, payload []byte) {
	a.out.Lock()
	defer a.out.Unlock()
	if a.mute {
		return
	}
	a.frame = guest.AppendFrame(a.frame[:0], guest.Frame{Type: t, Stream: stream, Payload: payload})
	a.box.inside.Write(a.frame)
}

// lie breaks the protocol in place of an answer; nothing sensible follows.
func (a *agent) lie(l Lie, stream uint32) {
	a.out.Lock()
	defer a.out.Unlock()
	if !a.mute {
		a.box.inside.Write(l.bytes(stream))
	}
	a.mute = true
}

func (a *agent) silence() {
	a.out.Lock()
	defer a.out.Unlock()
	a.mute = true
}

// refuse answers with ERR.
func (a *agent) refuse(stream uint32, err error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = syscall.EIO
	}
	a.send(guest.TypeErr, stream, guest.Fields(nil).U32(uint32(errno)).String(err.Error()))
}

// answer is OK or ERR.
func (a *agent) answer(stream uint32, err error) {
	if err != nil {
		a.refuse(stream, err)
		return
	}
	a.send(guest.TypeOK, stream, nil)
}
