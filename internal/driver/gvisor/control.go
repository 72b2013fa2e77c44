package gvisor

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/sentry/control"
	"gvisor.dev/gvisor/pkg/unet"
	"gvisor.dev/gvisor/pkg/urpc"
	"gvisor.dev/gvisor/runsc/boot"
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

// setNetwork gives the box its loopback and nothing else. It has to be the
// first call.
func (c *client) setNetwork(restore bool) error {
	return c.call(boot.ContMgrSetNetworkArgs, &boot.CreateLinksAndRoutesArgs{
		LoopbackLinks: []boot.LoopbackLink{boot.DefaultLoopbackLink},
		IsRestore:     restore,
	}, nil)
}

func (c *client) start(id string) error {
	return c.call(boot.ContMgrRootContainerStart, &id, nil)
}

// snapshotFiles in the order that the sentry wants them.
var snapshotFiles = []string{"checkpoint.img", "pages_meta.img", "pages.img"}

func openSnapshot(dir string, flag int) ([]*os.File, error) {
	var files []*os.File
	for _, name := range snapshotFiles {
		f, err := os.OpenFile(filepath.Join(dir, name), flag, 0o600)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
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
func (c *client) save(dir string) error {
	files, err := openSnapshot(dir, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("cannot make the snapshot's files: %w", err)
	}
	defer closeAll(files)
	return c.call(boot.ContMgrCheckpoint, &control.SaveOpts{
		FilePayload:                    urpc.FilePayload{Files: files},
		HavePagesFile:                  true,
		Resume:                         true,
		AppMFExcludeCommittedZeroPages: true,
		Metadata:                       map[string]string{"compression": "none"},
	}, nil)
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
