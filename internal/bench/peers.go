package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/cgroup"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Peers lists the tools that can be measured beside Brig.
func Peers() []string { return []string{"runc", "bwrap", "runsc"} }

// NewPeers prepares a tool that is installed, in each way in which it is used.
// The stock runsc has two: one `run`, which must know the program beforehand, and
// create, start, exec, delete, which does what an agent's sandbox does: it is
// there first, and then gets something to run.
func NewPeers(name string) ([]Subject, error) {
	var subjects []Subject
	for _, steps := range []bool{false, true} {
		if steps && name != "runsc" {
			continue
		}
		s, err := newPeer(name, steps)
		if err != nil {
			return subjects, err
		}
		subjects = append(subjects, s)
	}
	return subjects, nil
}

const groupName = "brig-bench"

// peer runs the item with another tool, on this host's /usr, read-only, without
// a network: one fresh sandbox per item, as its command line is meant to be used.
type peer struct {
	name   string
	path   string
	dir    string // scratch: bundle and work directories
	tree   *cgroup.Tree
	count  int
	python string
	steps  bool // create, start, exec, delete instead of one run
}

func newPeer(name string, steps bool) (Subject, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return Subject{}, api.Errorf(api.CodeUnavailable, "cannot measure %s: because it is not installed", name).WithFix("%s", installHint(name))
	}
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		return Subject{}, api.Errorf(api.CodeUnavailable, "cannot measure %s: because this host has no %s for it to run", name, python).WithFix("apt-get install -y python3-minimal")
	}
	dir, err := os.MkdirTemp("", "brig-bench-")
	if err != nil {
		return Subject{}, err
	}
	p := &peer{name: name, path: path, dir: dir, tree: cgroup.Open(groupName), python: python, steps: steps}
	if err := p.makeRoot(); err != nil {
		p.close()
		return Subject{}, err
	}
	var commands []string
	for _, argv := range p.commands("ID") {
		commands = append(commands, "`"+strings.Join(argv, " ")+"`")
	}
	if steps {
		name += " steps"
	}
	return Subject{
		Name: name, One: p.one, CPU: p.tree.TotalCPU, Close: p.close,
		Means: strings.Join(commands, ", ") + ", the item with a cold python3 on this host's /usr",
	}, nil
}

func installHint(name string) string {
	switch name {
	case "bwrap":
		return "apt-get install -y bubblewrap"
	case "runc":
		return "apt-get install -y runc"
	case "runsc":
		return "CGO_ENABLED=0 go install gvisor.dev/gvisor/runsc@go"
	}
	return "use one of " + strings.Join(Peers(), ", ")
}

func (p *peer) makeRoot() error {
	root := filepath.Join(p.dir, "root")
	for _, d := range []string{"usr", "proc", "tmp", "work", "dev", "sys", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	for _, l := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+l, filepath.Join(root, l)); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(p.dir, "work"), 0o777)
}

func (p *peer) script() []string { return []string{p.python, "-E", "-s", "/work/run.py"} }

// commands are the tool's command lines for one item.
func (p *peer) commands(id string) [][]string {
	switch {
	case p.name == "bwrap":
		return [][]string{append([]string{p.path, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr",
			"--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
			"--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", filepath.Join(p.dir, "work"), "/work"}, p.script()...)}
	case p.steps:
		return [][]string{
			p.tool("create", "--bundle="+p.dir, id), p.tool("start", id),
			p.tool(append([]string{"exec", id}, p.script()...)...), p.tool("delete", "--force", id),
		}
	default:
		return [][]string{p.tool("run", "--bundle="+p.dir, id)}
	}
}

// tool is one command line of an OCI runtime.
func (p *peer) tool(args ...string) []string {
	base := []string{p.path, "--root=" + filepath.Join(p.dir, "state")}
	if p.name == "runsc" {
		base = append(base, "--network=none")
	}
	return append(base, args...)
}

// one runs the item once and reads its result from the work directory.
func (p *peer) one(ctx context.Context) (Sample, error) {
	p.count++
	id := fmt.Sprintf("brig-bench-%d-%d", os.Getpid(), p.count)
	group, err := p.tree.Create(id, cgroup.Limits{})
	if err != nil {
		return Sample{}, err
	}
	defer group.Remove()
	if err := p.prepare(group, id); err != nil {
		return Sample{}, err
	}
	start := time.Now()
	if err := p.run(ctx, group, id); err != nil {
		return Sample{}, err
	}
	got, err := os.ReadFile(filepath.Join(p.dir, "work", "result.json"))
	took := time.Since(start)
	if err != nil {
		return Sample{}, err
	}
	return Sample{Total: took, TTI: took}, check(got, []byte(itemResult))
}

func (p *peer) prepare(group *cgroup.Group, id string) error {
	work := filepath.Join(p.dir, "work")
	_ = os.Remove(filepath.Join(work, "result.json"))
	for name, content := range map[string]string{"run.py": itemCode, "input.json": itemInput} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	b, err := json.Marshal(p.bundle(group.Path(), id))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, "config.json"), b, 0o644)
}

// run starts the tool inside the group, so that all it starts is accounted for.
func (p *peer) run(ctx context.Context, group *cgroup.Group, id string) error {
	for _, argv := range p.commands(id) {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		out, err := os.CreateTemp(p.dir, "output-") // a pipe would be held open by what create leaves running
		if err != nil {
			return err
		}
		cmd.Stdout, cmd.Stderr = out, out
		if err = startIn(cmd, p.tree, group); err == nil {
			err = cmd.Wait()
		}
		said, _ := os.ReadFile(out.Name())
		out.Close()
		os.Remove(out.Name())
		if err != nil {
			return fmt.Errorf("%s: %w: %.300s", strings.Join(argv, " "), err, said)
		}
	}
	return nil
}

func startIn(cmd *exec.Cmd, tree *cgroup.Tree, group *cgroup.Group) error {
	if tree.V2() {
		dir, err := group.OpenV2()
		if err != nil {
			return err
		}
		defer dir.Close()
		cmd.SysProcAttr = group.IntoV2(dir)
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := group.EnterV1(); err != nil {
		return err
	}
	defer tree.LeaveV1()
	return cmd.Start()
}

func (p *peer) bundle(cgroupPath, id string) *specs.Spec {
	caps, args := []string{"CAP_KILL"}, p.script()
	if p.steps {
		args = []string{"/usr/bin/sleep", "1000"}
	}
	spec := &specs.Spec{
		Version: "1.0.0", Hostname: "sandbox",
		Root: &specs.Root{Path: filepath.Join(p.dir, "root"), Readonly: true},
		Process: &specs.Process{
			Args: args, Env: []string{"PATH=/usr/bin:/bin"}, Cwd: "/work",
			NoNewPrivileges: true,
			Capabilities:    &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=755", "size=65536k"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"},
			{Destination: "/usr", Type: "bind", Source: "/usr", Options: []string{"rbind", "ro"}},
			{Destination: "/work", Type: "bind", Source: filepath.Join(p.dir, "work"), Options: []string{"rbind", "rw"}},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
			{Type: specs.MountNamespace}, {Type: specs.NetworkNamespace},
		}},
	}
	// The limits that Brig's item has.
	memory := int64(512 << 20)
	spec.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &memory}, Pids: &specs.LinuxPids{Limit: 128}}
	spec.Linux.CgroupsPath = filepath.Join(cgroupPath, id)
	return spec
}

func (p *peer) close() {
	// runsc keeps a network namespace mounted there.
	_ = unix.Unmount(filepath.Join(p.dir, "state", "null-netns"), unix.MNT_DETACH)
	os.RemoveAll(p.dir)
	p.tree.Close()
	// OCI runtimes make the parents of their group in every hierarchy, and leave them.
	var left []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(path+"/", "/"+groupName+"/") {
			left = append(left, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(left) { // what is inside first
		_ = os.Remove(dir)
	}
}
