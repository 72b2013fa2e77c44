package gvisor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/brigdev/brig/internal/driver"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/sentry/control"
	"gvisor.dev/gvisor/pkg/unet"
	"gvisor.dev/gvisor/pkg/urpc"
	"gvisor.dev/gvisor/runsc/boot"
	"gvisor.dev/gvisor/runsc/config"
)

// controlSocket makes the socket that the sentry will serve: bound, not
// listening. The path goes through a directory descriptor, because a socket's
// name may be 107 bytes and a state directory longer.
func controlSocket(root, id string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "control")
	err = throughDir(root, func(dir string) error {
		return unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, id+".sock")})
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot bind the control socket: %w", err)
	}
	return f, nil
}

func throughDir(root string, use func(dir string) error) error {
	d, err := os.Open(root)
	if err != nil {
		return err
	}
	defer d.Close()
	return use("/proc/self/fd/" + strconv.Itoa(int(d.Fd())))
}

// client is one connection to a sentry. It serialises its calls.
type client struct {
	rpc *urpc.Client
}

func dialControl(root, id string) (*client, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = throughDir(root, func(dir string) error {
		return unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, id+".sock")})
	})
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot reach the sentry: %w", err)
	}
	fdMu.RLock() // NewSocket's eventfd has no FD_CLOEXEC
	s, err := unet.NewSocket(fd)
	fdMu.RUnlock()
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &client{rpc: urpc.NewClient(s)}, nil
}

func (c *client) close() {
	if c != nil && c.rpc != nil {
		c.rpc.Close()
	}
}

func (c *client) call(method string, arg, result any) error {
	if err := c.rpc.Call(method, arg, result); err != nil {
		return fmt.Errorf("the sentry refused %s: %w", method, err)
	}
	return nil
}

// setNetwork gives the box its loopback, and link if there is one. It has to be
// the first call.
func (c *client) setNetwork(link *driver.Link, restore bool) error {
	args := boot.CreateLinksAndRoutesArgs{
		LoopbackLinks: []boot.LoopbackLink{boot.DefaultLoopbackLink},
		IsRestore:     restore,
	}
	if link != nil {
		addLink(&args, link)
	}
	return c.call(boot.ContMgrSetNetworkArgs, &args, nil)
}

func addLink(args *boot.CreateLinksAndRoutesArgs, link *driver.Link) {
	const name = "eth0"
	subnet := link.Addr.Masked()
	args.FilePayload = urpc.FilePayload{Files: []*os.File{link.File}}
	args.FDBasedLinks = []boot.FDBasedLink{{
		Name: name, MTU: link.MTU, LinkAddress: link.MAC, NumChannels: 1, ProcessorsPerChannel: 1, QDisc: config.QDiscNone,
		Addresses: []boot.IPWithPrefix{{Address: link.Addr.Addr().AsSlice(), PrefixLen: link.Addr.Bits()}},
		Routes:    []boot.Route{{Destination: ipNet(subnet)}},
	}}
	everywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	args.Defaultv4Gateway = boot.DefaultRoute{Name: name, Route: boot.Route{Destination: ipNet(everywhere), Gateway: link.Gateway.AsSlice()}}
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (c *client) start(id string) error {
	return c.call(boot.ContMgrRootContainerStart, &id, nil)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// restore loads a snapshot. The sentry drops its control connections then.
func (c *client) restore(dir string) error {
	files, err := openSnapshot(dir, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("cannot open the snapshot: %w", err)
	}
	defer closeAll(files)
	return c.call(boot.ContMgrRestore, &boot.RestoreOpts{FilePayload: urpc.FilePayload{Files: files}, HavePagesFile: true}, nil)
}

// save writes a snapshot; the box is paused meanwhile.
func (c *client) save(files []*os.File) error {
	return c.call(boot.ContMgrCheckpoint, &control.SaveOpts{
		FilePayload:                    urpc.FilePayload{Files: files},
		HavePagesFile:                  true,
		Resume:                         true,
		AppMFExcludeCommittedZeroPages: true,
		Metadata:                       map[string]string{"compression": "none"},
	}, nil)
}

// tarUpper writes what the guest changed in its root filesystem.
func (c *client) tarUpper(id string, to *os.File) error {
	return c.call(boot.FsTarRootfsUpperLayer, &control.TarRootfsUpperLayerOpts{ContainerID: id, FilePayload: urpc.FilePayload{Files: []*os.File{to}}}, nil)
}

// channelPair makes the connection to the guest agent: our end, and the file
// that becomes its descriptor 3.
func channelPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "channel"), os.NewFile(uintptr(fds[1]), "channel")
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}
