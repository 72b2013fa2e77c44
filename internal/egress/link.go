package egress

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/brigdev/brig/internal/driver"
)

const (
	nic = 1
	// mtu is what one message of the link may hold: the larger, the cheaper is each
	// byte. It costs a sandbox with a link half a megabyte.
	mtu = 65520 - header.EthernetMinimumSize
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

// newLink makes the pair of sockets: our descriptor, and the box's link.
func newLink() (ours int, link *driver.Link, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, nil, err
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
	return fds[0], &driver.Link{
		File: os.NewFile(uintptr(fds[1]), "link"), MAC: mac, MTU: mtu, Addr: guestPrefix(), Gateway: gatewayAddr(),
	}, nil
}

// newStack makes the network stack behind fd, which stays the caller's.
func newStack(fd int, link *driver.Link) (*stack.Stack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	err := setUp(s, fd, link)
	if err != nil {
		s.Destroy()
		return nil, err
	}
	return s, nil
}

func setUp(s *stack.Stack, fd int, link *driver.Link) error {
	if err := tune(s); err != nil {
		return err
	}
	ep, err := newEndpoint(fd)
	if err != nil {
		return err
	}
	if err := s.CreateNIC(nic, ep); err != nil {
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

// newEndpoint makes gVisor's end of the link. It makes descriptors without
// FD_CLOEXEC, so no program may be started meanwhile.
func newEndpoint(fd int) (stack.LinkEndpoint, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ep, err := fdbased.New(&fdbased.Options{
		FDs: []int{fd}, MTU: mtu, EthernetHeader: true, Address: gatewayMAC(),
		PacketDispatchMode: fdbased.RecvMMsg, ProcessorsPerChannel: 1,
	})
	if err != nil {
		return nil, err
	}
	return ep, unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
}

func gatewayMAC() tcpip.LinkAddress { return tcpip.LinkAddress("\x02brig\x01") }

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
