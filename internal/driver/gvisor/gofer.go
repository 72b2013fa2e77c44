package gvisor

import (
	"os"

	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
	"golang.org/x/sys/unix"
)

// goferCaps is what a gofer starts with. It gives up those that it needs for its
// own mounts.
var goferCaps = []uintptr{
	unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SETPCAP, unix.CAP_SYS_PTRACE,
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID,
}

// spawnGofer starts the process that serves host directories to the sentry,
// read-only, as nobody in a user namespace of its own: files that only root may
// read stay unreadable. It costs about 20 ms, so templates that are one image
// have none.
func (b *Box) spawnGofer(f *bootFiles) error {
	var don donor
	args := append([]string{}, b.d.global...)
	args = append(args, "--panic-log-fd="+don.give(f.log), "gofer", "--bundle="+b.d.empty)
	var theirs []*os.File
	defer func() { closeAll(theirs) }()
	for range b.spec.Root.Binds {
		ours, t, err := socketFiles()
		if err != nil {
			return err
		}
		f.gofer, theirs = append(f.gofer, ours), append(theirs, t)
		args = append(args, "--io-fds="+don.give(t))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	f.mounts, theirs = r, append(theirs, w)
	rpcOurs, rpc, err := socketFiles()
	if err != nil {
		return err
	}
	rpcOurs.Close() // it would be asked to open mounts that the gofer itself can't
	theirs = append(theirs, rpc)
	spec, err := specFile(ociSpec(b.spec, b.d.empty))
	if err != nil {
		return err
	}
	theirs = append(theirs, spec)
	args = append(args, "--mounts-fd="+don.give(w), "--rpc-fd="+don.give(rpc), "--spec-fd="+don.give(spec),
		"--gofer-mount-confs="+b.d.mountConfs(b.spec), b.spec.ID)
	b.gofer, err = b.d.spawn.start(process{
		name: sentry.GoferName, args: args, env: []string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0"},
		files: don.files, caps: goferCaps, attached: b.spec.Attached,
	}, b.d.cgroups, b.group)
	if err != nil {
		return explainFork(err)
	}
	return nil
}

func socketFiles() (*os.File, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "gofer"), os.NewFile(uintptr(fds[1]), "gofer"), nil
}
