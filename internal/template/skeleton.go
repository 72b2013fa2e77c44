package template

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/guest/agent"
	"github.com/brigdev/brig/internal/image"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// Where the guest's programs are in every image, and who programs run as.
const (
	agentPath  = "/.brig/agent"
	runnerPath = "/.brig/runner.py"
	warmPath   = "/.brig/warm" // the warm-up script
	userID     = 1000
	homeDir    = "/home/user"
)

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Agent == nil {
		o.Agent = agent.Binary()
	}
	if o.Runner == nil {
		o.Runner = agent.Runner()
	}
	if o.Journal == nil {
		o.Journal = func(driver.Handle) (func(), error) { return func() {}, nil }
	}
	if o.InUse == nil {
		o.InUse = func(context.Context) (map[string]string, error) { return nil, nil }
	}
	if o.BuildCacheBytes == 0 {
		o.BuildCacheBytes = DefaultBuildCache
	}
	if o.HostRoot == "" {
		o.HostRoot = "/"
	}
	return o
}

// guestID identifies the programs that this Brig puts into images.
func (c *Catalog) guestID() string {
	h := sha256.New()
	for _, p := range [][]byte{c.opts.Agent, c.opts.Runner} {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	for _, f := range kernels() {
		sum := sha256.Sum256(f.Data)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// skeleton is what every image has, whatever it is made from: the guest's
// programs, the places that a program may write to, and the few files of /etc
// that would otherwise tell of the machine where the image was built. Of those that
// name users, the ones that has tells of are left as they are.
func (c *Catalog) skeleton(has func(path string) bool) []image.Content {
	contents := []image.Content{
		dir("/", 0o755, 0), dir("/.brig", 0o755, 0),
		file(agentPath, 0o755, c.opts.Agent), file(runnerPath, 0o644, c.opts.Runner),
		dir("/proc", 0o555, 0), dir("/sys", 0o555, 0), dir("/dev", 0o755, 0), dir("/run", 0o755, 0),
		// gVisor puts a tmpfs of its own, without a size, on an empty /tmp.
		dir("/tmp", 0o1777, 0), file("/tmp/.brig", 0o444, nil), dir("/var", 0o755, 0), dir("/var/tmp", 0o1777, 0),
		dir("/root", 0o700, 0), dir("/home", 0o755, 0), dir(homeDir, 0o755, userID), dir("/work", 0o755, userID),
		dir("/etc", 0o755, 0),
		file("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:"+homeDir+":/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")),
		file("/etc/group", 0o644, []byte("root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n")),
		file("/etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n")),
		file("/etc/nsswitch.conf", 0o644, []byte("passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n")),
	}
	contents = append(contents, kernels()...)
	users := []string{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf"}
	return slices.DeleteFunc(contents, func(f image.Content) bool { return slices.Contains(users, f.Path) && has(f.Path) })
}

// kernels are the code interpreter's files.
func kernels() []image.Content {
	contents := []image.Content{dir(kernel.Dir, 0o755, 0)}
	sources := kernel.Sources()
	for _, path := range slices.Sorted(maps.Keys(sources)) {
		contents = append(contents, file(path, 0o644, sources[path]))
	}
	return contents
}

// none has no file.
func none(string) bool { return false }

// kernelFiles are those that the kernel shows, and no image has.
func kernelFiles() []string { return []string{"/dev/*", "/proc/*", "/sys/*"} }

// hostsOwn are the files that no image takes from where it is made.
func hostsOwn() []string {
	return []string{
		"/etc/hostname", "/etc/resolv.conf", "/etc/machine-id", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-",
		"/etc/passwd-", "/etc/group-", "/etc/subuid", "/etc/subgid", "/etc/subuid-", "/etc/subgid-", "/etc/ssh", "/etc/.pwd.lock",
		"/var/lib/dbus/machine-id", "/var/lib/systemd/random-seed", "/.dockerenv", "/.brig",
	}
}

// programEnv is the environment of every program; nothing of the host's is in it.
func programEnv() map[string]string {
	return map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin",
		"HOME": homeDir,
		"USER": "user",
		"LANG": "C.UTF-8",
		// A program's own modules would leave __pycache__ among its artifacts.
		"PYTHONDONTWRITEBYTECODE": "1",
	}
}

// programEnv is the environment of a template's programs: ours, and the image's
// own on top.
func (r Record) programEnv() map[string]string {
	env := programEnv()
	if r.Config != nil {
		for _, kv := range r.Config.Env {
			name, value, _ := strings.Cut(kv, "=")
			env[name] = value
		}
	}
	return env
}

func dir(path string, mode, owner uint32) image.Content {
	return image.Content{Entry: image.Entry{Path: path, Kind: image.Dir, Mode: mode, UID: owner, GID: owner}}
}

func file(path string, mode uint32, data []byte) image.Content {
	return image.Content{Entry: image.Entry{Path: path, Mode: mode}, Data: data}
}
