package guest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// peer is the guest's end of a connection in the hands of a test. Frames from
// the host are answered by the test's function, on one goroutine.
type peer struct {
	t    *testing.T
	conn net.Conn

	mu     sync.Mutex
	got    []Frame
	writes int // Writes of the host
}

// newPeer connects a Client to a peer that greets properly and gives every
// later frame to answer.
func newPeer(t *testing.T, answer func(p *peer, f Frame)) (*Client, *peer) {
	t.Helper()
	return connect(t, func(p *peer, f Frame) {
		if f.Type == TypeStart {
			p.send(TypeReady, f.Stream, Fields(nil).U32(Version).String("test"))
		} else if answer != nil {
			answer(p, f)
		}
	})
}

func connect(t *testing.T, answer func(p *peer, f Frame)) (*Client, *peer) {
	t.Helper()
	p, conn := listen(t, answer)
	c, err := Start(t.Context(), conn, [64]byte{}, time.Now(), Identity{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, p
}

func listen(t *testing.T, answer func(p *peer, f Frame)) (*peer, net.Conn) {
	host, inside := net.Pipe()
	p := &peer{t: t, conn: inside}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			f, err := ReadFrame(inside, nil)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.got = append(p.got, f)
			p.mu.Unlock()
			answer(p, f)
		}
	})
	t.Cleanup(func() {
		host.Close()
		inside.Close()
		serving.Wait()
	})
	return p, countWrites{host, p}
}

// send writes a frame; the host may be gone already.
func (p *peer) send(t Type, stream uint32, payload []byte) {
	p.conn.Write(AppendFrame(nil, Frame{Type: t, Stream: stream, Payload: payload}))
}

func (p *peer) frames() []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Frame(nil), p.got...)
}

func (p *peer) wrote() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
}

type countWrites struct {
	net.Conn
	p *peer
}

func (c countWrites) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	c.p.writes++
	c.p.mu.Unlock()
	return c.Conn.Write(b)
}

func entryOf(kind byte, size uint64, name string) []byte {
	return Fields(nil).Bytes([]byte{kind}).U64(size).U32(0o644).String(name).U64(5).String("")
}
