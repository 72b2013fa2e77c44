package gvisor

import (
	"os"
	"os/exec"

	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
	"golang.org/x/sys/unix"
)

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
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = sentry.GoferName
	cmd.Env, cmd.ExtraFiles, cmd.Dir = []string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0"}, don.files, "/"
	cmd.SysProcAttr = b.d.spawn.attributes(b.spec.Attached)
	cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE,
		unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID)
	if err := b.d.spawn.start(cmd, b.d.cgroups, b.group); err != nil {
		return explainFork(err)
	}
	b.gofer = cmd
	return nil
}

func socketFiles() (*os.File, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "gofer"), os.NewFile(uintptr(fds[1]), "gofer"), nil
}
