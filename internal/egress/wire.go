package egress

import (
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// mtu is what one message of a link may hold besides its Ethernet header: the
// larger, the cheaper is each byte.
const mtu = 65520 - header.EthernetMinimumSize

// wire is a stack's network device: one end of a pair of packet sockets, each
// message an Ethernet frame. (gVisor's own, fdbased, needs descriptors that live
// outside Go's care, and leaves one behind.)
type wire struct {
	conn   net.Conn
	raw    syscall.RawConn
	mac    tcpip.LinkAddress
	reader sync.WaitGroup

	mu    sync.Mutex
	stack stack.NetworkDispatcher // nil when there is none
}

var _ stack.LinkEndpoint = (*wire)(nil)

// newWire takes f over.
func newWire(f *os.File, mac net.HardwareAddr) (*wire, error) {
	defer f.Close()
	conn, err := net.FileConn(f) // a copy
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn, mac: tcpip.LinkAddress(mac)}
	if w.raw, err = conn.(*net.UnixConn).SyscallConn(); err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

// Attach says which stack gets what is read; nil discards it.
func (w *wire) Attach(d stack.NetworkDispatcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stack = d
}

// start begins to read, once, when the stack is set up.
func (w *wire) start() {
	w.reader.Add(1)
	go w.read()
}

// read ends when the socket is closed, on either side.
func (w *wire) read() {
	defer w.reader.Done()
	buf := make([]byte, mtu+header.EthernetMinimumSize)
	for {
		n, err := w.conn.Read(buf)
		if err != nil || n == 0 { // a message of no bytes is the end, too
			return
		}
		w.deliver(buf[:n])
	}
}

func (w *wire) deliver(frame []byte) {
	w.mu.Lock()
	d := w.stack
	w.mu.Unlock()
	if d == nil {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)}) // a copy
	defer pkt.DecRef()
	if w.ParseHeader(pkt) {
		d.DeliverNetworkPacket(header.Ethernet(pkt.LinkHeader().Slice()).Type(), pkt)
	}
}

// WritePackets sends frames. It never waits: a frame for which there is no room
// is lost, and TCP sends it again.
func (w *wire) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for n, pkt := range list.AsSlice() {
		var err error
		closed := w.raw.Write(func(fd uintptr) bool {
			_, err = unix.SendmsgBuffers(int(fd), pkt.AsSlices(), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			return true
		})
		switch {
		case closed != nil:
			return n, &tcpip.ErrClosedForSend{}
		case err == unix.EAGAIN || err == unix.ENOBUFS:
			return n, &tcpip.ErrNoBufferSpace{}
		case err != nil:
			return n, &tcpip.ErrAborted{}
		}
	}
	return list.Len(), nil
}

// stop ends the reader and waits for it. It comes before the stack's Wait: that
// one waits, too, but holds locks which the reader may need for its last frame.
func (w *wire) stop() {
	w.Close()
	w.Wait()
}

// Close ends the reader.
func (w *wire) Close() { w.conn.Close() }

// Wait returns when the reader has ended.
func (w *wire) Wait() { w.reader.Wait() }

// AddHeader implements stack.LinkEndpoint.
func (w *wire) AddHeader(pkt *stack.PacketBuffer) {
	header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: pkt.EgressRoute.LocalLinkAddress, DstAddr: pkt.EgressRoute.RemoteLinkAddress, Type: pkt.NetworkProtocolNumber,
	})
}

// ParseHeader implements stack.LinkEndpoint.
func (w *wire) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// IsAttached implements stack.LinkEndpoint.
func (w *wire) IsAttached() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stack != nil
}

// The rest of stack.LinkEndpoint: what kind of device this is.

func (w *wire) MTU() uint32                             { return mtu }
func (w *wire) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (w *wire) LinkAddress() tcpip.LinkAddress          { return w.mac }
func (w *wire) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (w *wire) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired
}
func (w *wire) SetMTU(uint32)                    {}
func (w *wire) SetLinkAddress(tcpip.LinkAddress) {}
func (w *wire) SetOnCloseAction(func())          {}
