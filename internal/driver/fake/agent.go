package fake

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"

	"github.com/brigdev/brig/api"
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

	mu       sync.Mutex // guards what follows
	programs map[uint32]*program
	random   *rand.ChaCha8
}

type upload struct {
	path string
	mode uint32
	data []byte
}

func newAgent(b *Box) *agent {
	return &agent{
		box: b, mute: b.fault.Mute,
		puts: map[uint32]*upload{}, programs: map[uint32]*program{},
		random: rand.NewChaCha8([32]byte{}),
	}
}

// serve answers the host until the channel closes, which ends the box as it
// ends a real one.
func (a *agent) serve() {
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

func (a *agent) dispatch(f guest.Frame) {
	switch f.Type {
	case guest.TypeStart:
		a.start(f)
	case guest.TypePut, guest.TypeData, guest.TypeEnd:
		a.put(f)
	case guest.TypeGet:
		a.get(f)
	case guest.TypeList:
		a.list(f)
	case guest.TypeExec:
		a.exec(f)
	case guest.TypeStdin, guest.TypeStdinEOF, guest.TypeSignal:
		a.toProgram(f)
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
	if len(seed) < 32 {
		a.refuse(f.Stream, syscall.EBADMSG)
		return
	}
	a.mu.Lock()
	a.random.Seed([32]byte(seed[:32]))
	a.mu.Unlock()
	if a.box.fault.Lie != "" {
		a.lie(a.box.fault.Lie, f.Stream)
		return
	}
	a.send(guest.TypeReady, f.Stream, guest.Fields(nil).U32(guest.Version).String("brig-fake-agent"))
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

func (a *agent) put(f guest.Frame) {
	up := a.puts[f.Stream]
	switch {
	case f.Type == guest.TypePut:
		r := guest.NewReader(f.Payload)
		a.puts[f.Stream] = &upload{path: inside("", string(r.Bytes())), mode: r.U32()}
	case up == nil:
		// The host gave the stream up.
	case f.Type == guest.TypeData:
		if int64(len(up.data)+len(f.Payload)) <= a.box.limits.DiskBytes+1 {
			up.data = append(up.data, f.Payload...)
		}
	default:
		delete(a.puts, f.Stream)
		err := a.box.state.files.put(up.path, &node{Kind: api.FileRegular, Mode: up.mode, Data: up.data})
		if err != nil {
			a.refuse(f.Stream, err)
			return
		}
		a.send(guest.TypeOK, f.Stream, nil)
	}
}

func (a *agent) get(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	name, limit := inside("", string(r.Bytes())), r.U64()
	n, err := a.box.state.files.regular(name)
	if err == nil && uint64(n.size()) > limit {
		err = syscall.EFBIG
	}
	if err != nil {
		a.refuse(f.Stream, err)
		return
	}
	a.entry(f.Stream, "", n)
	content := io.MultiReader(newReader(n.Data), zeros(n.size()-int64(len(n.Data))))
	buf := make([]byte, min(guest.MaxData, n.size()+1))
	for {
		k, err := io.ReadFull(content, buf)
		if k > 0 {
			a.send(guest.TypeData, f.Stream, buf[:k])
		}
		if err != nil {
			a.send(guest.TypeEnd, f.Stream, nil)
			return
		}
	}
}

func (a *agent) list(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	dir, limit := inside("", string(r.Bytes())), r.U32()
	entries, err := a.box.state.files.list(dir, int(limit))
	if err != nil {
		a.refuse(f.Stream, err)
		return
	}
	for _, e := range entries {
		a.entry(f.Stream, e.name, e.node)
	}
	a.send(guest.TypeEnd, f.Stream, nil)
}

func (a *agent) entry(stream uint32, name string, n *node) {
	kind := map[api.FileKind]byte{api.FileRegular: 'f', api.FileDir: 'd', api.FileSymlink: 'l', api.FileOther: 'o'}[n.Kind]
	p := guest.Fields(nil).Bytes([]byte{kind}).U64(uint64(n.size())).U32(n.Mode).String(name)
	a.send(guest.TypeEntry, stream, p)
}
