package egress

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/brigdev/brig/internal/driver"
)

const (
	nic = 1
	// linkBuffer is how much of the kernel's memory waiting frames may take. What
	// does not fit is lost, as on any network. Without CAP_NET_ADMIN the kernel gives
	// less.
	linkBuffer = 4 << 20
	// A connection's own buffers.
	tcpBuffer, maxTCPBuffer = 256 << 10, 1 << 20
)

// The addresses of each link: links don't meet, so all have the same.
func gatewayAddr() netip.Addr   { return netip.AddrFrom4([4]byte{198, 18, 0, 1}) }
func guestPrefix() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, 2}), 30) }

// newLink makes the pair of sockets: our device, and the box's link.
func newLink() (ours *wire, link *driver.Link, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, fd := range fds {
		for force, plain := range map[int]int{unix.SO_SNDBUFFORCE: unix.SO_SNDBUF, unix.SO_RCVBUFFORCE: unix.SO_RCVBUF} {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, linkBuffer) != nil {
				_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, linkBuffer) // less is slower
			}
		}
	}
	// Its own address for each box: clones must not be mistaken for one another.
	mac := make(net.HardwareAddr, 6)
	rand.Read(mac) // never fails
	mac[0] = 0x02  // administered by us, of one station
	theirs := os.NewFile(uintptr(fds[1]), "link")
	if ours, err = newWire(os.NewFile(uintptr(fds[0]), "link"), gatewayMAC()); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, &driver.Link{File: theirs, MAC: mac, MTU: mtu, Addr: guestPrefix(), Gateway: gatewayAddr()}, nil
}

// newStack makes the network stack behind a device, which it owns.
func newStack(w *wire, link *driver.Link) (*stack.Stack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	if err := setUp(s, w, link); err != nil {
		w.stop()
		s.Destroy()
		return nil, err
	}
	return s, nil
}

func setUp(s *stack.Stack, w *wire, link *driver.Link) error {
	if err := tune(s); err != nil {
		return err
	}
	if err := s.CreateNIC(nic, w); err != nil {
		return fmt.Errorf("cannot make the device: %s", err)
	}
	gateway := tcpip.AddrFrom4(gatewayAddr().As4())
	addr := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: gateway, PrefixLen: guestPrefix().Bits()}}
	if err := s.AddProtocolAddress(nic, addr, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("cannot set the address: %s", err)
	}
	guest := tcpip.AddrFrom4(link.Addr.Addr().As4())
	if err := s.AddStaticNeighbor(nic, ipv4.ProtocolNumber, guest, tcpip.LinkAddress(link.MAC)); err != nil {
		return fmt.Errorf("cannot name the neighbour: %s", err)
	}
	// It takes packets to any address, and answers in that address's name.
	if err := s.SetPromiscuousMode(nic, true); err != nil {
		return fmt.Errorf("cannot listen to all addresses: %s", err)
	}
	if err := s.SetSpoofing(nic, true); err != nil {
		return fmt.Errorf("cannot speak for all addresses: %s", err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	return nil
}

func gatewayMAC() net.HardwareAddr { return net.HardwareAddr("\x02brig\x01") }

// tune bounds what a connection may hold, and how long a dead one stays.
func tune(s *stack.Stack) error {
	// Pings would be answered for every address, as if all were there.
	s.SetICMPLimit(0)
	s.SetICMPBurst(0)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: tcpBuffer, Max: maxTCPBuffer}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: tcpBuffer, Max: maxTCPBuffer}
	sack, moderate, retries := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true), tcpip.TCPSynRetriesOption(2)
	wait, linger := tcpip.TCPTimeWaitTimeoutOption(0), tcpip.TCPLingerTimeoutOption(lingerTimeout)
	for _, o := range []tcpip.SettableTransportProtocolOption{&send, &receive, &sack, &moderate, &retries, &wait, &linger} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fmt.Errorf("cannot set %T: %s", o, err)
		}
	}
	return nil
}
