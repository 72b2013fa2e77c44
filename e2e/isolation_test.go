package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

// inside is what a program sees of its world.
const inside = `
import json, os, socket, sys
def read(p):
    try: return open(p, errors="replace").read()
    except Exception as e: return "error: %s" % e
def reach(family, address):
    s = socket.socket(family); s.settimeout(2)
    try: s.connect(address); return True
    except Exception: return False
want = json.load(open("/work/input.json"))
status = dict(l.split(":\t", 1) for l in read("/proc/self/status").splitlines() if ":\t" in l)
pids = [p for p in os.listdir("/proc") if p.isdigit()]
json.dump({
    "net": [l.split(":")[0].strip() for l in read("/proc/net/dev").splitlines()[2:]],
    "interfaces": [n for _, n in socket.if_nameindex()],
    "env": sorted(os.environ),
    "fds": sorted(os.readlink("/proc/self/fd/" + f) for f in os.listdir("/proc/self/fd") if os.path.lexists("/proc/self/fd/" + f)),
    "hostname": socket.gethostname(),
    "cmdlines": [read("/proc/%s/cmdline" % p).replace("\0", " ") for p in pids],
    "version": read("/proc/version"),
    "mounts": read("/proc/mounts") + read("/proc/self/mountinfo"),
    "exists": [p for p in want["paths"] if os.path.lexists(p)],
    "host_tcp": reach(socket.AF_INET, ("127.0.0.1", want["port"])),
    "metadata": reach(socket.AF_INET, ("169.254.169.254", 80)),
    "internet": reach(socket.AF_INET, ("1.1.1.1", 53)),
    "abstract": reach(socket.AF_UNIX, "\0" + want["abstract"]),
    "uid": {"user": os.getuid(), "group": os.getgid(), "others": os.getgroups()},
    "caps": [status.get(k, "").strip() for k in ("CapInh", "CapPrm", "CapEff", "CapAmb")],
    "secrets": [p for p in ("/etc/shadow", "/root/.ssh", "/proc/kcore", "/var/run/docker.sock") if os.access(p, os.R_OK)],
    "tmp": os.listdir("/tmp") + os.listdir("/work"),
}, open("/work/result.json", "w"))
`

type world struct {
	Net, Interfaces, Env, Fds, Cmdlines, Exists, Caps, Secrets, Tmp []string
	Hostname, Version, Mounts                                       string
	HostTCP                                                         bool `json:"host_tcp"`
	Metadata, Internet, Abstract                                    bool
	UID                                                             struct {
		User, Group int
		Others      []int
	}
}

// notMark: an exec's own supplementary group is the mark by which all that it
// started is found; it owns no file.
func notMark(group int) bool { return group>>16 != 0x4252 }

// TestInside asks from inside, on both templates and warm as well as cold.
func TestInside(t *testing.T) {
	needPython(t)
	t.Setenv("BRIG_E2E_CANARY", "a secret of the host")
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	abstract := fmt.Sprintf("brig-e2e-%d", os.Getpid())
	unix, err := net.Listen("unix", "@"+abstract)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	input, _ := json.Marshal(map[string]any{
		"paths": []string{secret, "/var/lib/brig", "/run/brig", "/etc/hostname", "/etc/machine-id"},
		"port":  tcp.Addr().(*net.TCPAddr).Port, "abstract": abstract,
	})
	for _, template := range []string{"python", "host"} {
		t.Run(template, func(t *testing.T) {
			results, o := batch(t, []api.Item{
				{CustomID: "one", Code: inside, Input: input, Files: map[string]string{"mine.txt": "1"}},
				{CustomID: "two", Code: inside, Input: input, Files: map[string]string{"yours.txt": "2"}},
			}, "--template", template)
			if o.code != 0 {
				t.Fatalf("exit %d: %s %+v", o.code, o.stderr, results)
			}
			for id, r := range results {
				var w world
				if err := json.Unmarshal(r.Result, &w); err != nil {
					t.Fatal(err)
				}
				checkWorld(t, id, w, secret)
			}
		})
	}
}

func checkWorld(t *testing.T, id string, w world, secret string) {
	t.Helper()
	if !slices.Equal(w.Net, []string{"lo"}) || !slices.Equal(w.Interfaces, []string{"lo"}) {
		t.Errorf("network devices %v %v", w.Net, w.Interfaces)
	}
	if w.HostTCP || w.Metadata || w.Internet || w.Abstract {
		t.Errorf("reached: host %v, metadata %v, internet %v, abstract socket %v", w.HostTCP, w.Metadata, w.Internet, w.Abstract)
	}
	allowed := []string{"HOME", "LANG", "LC_CTYPE", "PATH", "PWD", "PYTHONDONTWRITEBYTECODE", "USER"}
	for _, k := range w.Env {
		if !slices.Contains(allowed, k) {
			t.Errorf("environment variable %s", k)
		}
	}
	for _, f := range w.Fds {
		// A socket is the warm interpreter's way to the agent, both inside; one of
		// the host's would show as host:[…].
		if !strings.HasPrefix(f, "pipe:") && !strings.HasPrefix(f, "socket:") && !strings.HasPrefix(f, "/proc/") && f != "/work/input.json" && f != "/work/run.py" {
			t.Errorf("descriptor of %s", f)
		}
	}
	host, _ := os.Hostname()
	if w.Hostname == host {
		t.Error("the host's name")
	}
	if len(w.Cmdlines) > 4 {
		t.Errorf("processes: %q", w.Cmdlines)
	}
	if !strings.Contains(w.Version, "gvisor") {
		t.Errorf("kernel %q", w.Version)
	}
	for _, not := range []string{filepath.Dir(secret), "/var/lib/brig", "/run/brig"} {
		if strings.Contains(w.Mounts, not) {
			t.Errorf("the mount table tells of %s", not)
		}
	}
	if len(w.Exists) > 0 || len(w.Secrets) > 0 {
		t.Errorf("visible: %v %v", w.Exists, w.Secrets)
	}
	if w.UID.User != 1000 || w.UID.Group != 1000 || slices.ContainsFunc(w.UID.Others, notMark) {
		t.Errorf("runs as %v", w.UID)
	}
	for _, c := range w.Caps {
		if strings.Trim(c, "0") != "" {
			t.Errorf("capabilities %v", w.Caps)
		}
	}
	mine, theirs := "mine.txt", "yours.txt"
	if id == "two" {
		mine, theirs = theirs, mine
	}
	if !slices.Contains(w.Tmp, mine) || slices.Contains(w.Tmp, theirs) {
		t.Errorf("%s: files %v", id, w.Tmp)
	}
}

// TestClonesDrawDifferentNumbers restores one snapshot many times: no generator
// may give the same in two of them.
func TestClonesDrawDifferentNumbers(t *testing.T) {
	needPython(t)
	const code = `
import json, os, random, secrets, ssl, tempfile, uuid
import numpy
json.dump({
    "random": random.random(), "randbytes": random.randbytes(8).hex(), "uuid4": str(uuid.uuid4()),
    "uuid1": str(uuid.uuid1()), "urandom": os.urandom(8).hex(), "secrets": secrets.token_hex(8),
    "openssl": ssl.RAND_bytes(8).hex(), "numpy": numpy.random.rand(), "numpy_rng": numpy.random.default_rng().random(),
    "mktemp": tempfile.mktemp(), "kernel": open("/proc/sys/kernel/random/uuid").read(),
}, open("/work/result.json", "w"))`
	// With numpy and ssl in the snapshot, their generators are cloned too.
	name := fmt.Sprintf("e2e-clones-%d", os.Getpid())
	if o := run(t, "", "template", "build", name, "--from", "python", "--warm", "numpy,ssl"); o.code != 0 {
		t.Fatalf("cannot build %s: %s", name, o.stderr)
	}
	defer run(t, "", "template", "rm", name)
	const clones = 12
	var items []api.Item
	for i := range clones {
		items = append(items, api.Item{CustomID: strconv.Itoa(i), Code: code})
	}
	results, o := batch(t, items, "--template", name)
	if o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	drawn := map[string]map[string]bool{}
	for _, r := range results {
		var values map[string]any
		if err := json.Unmarshal(r.Result, &values); err != nil {
			t.Fatal(err)
		}
		for source, v := range values {
			if drawn[source] == nil {
				drawn[source] = map[string]bool{}
			}
			drawn[source][fmt.Sprint(v)] = true
		}
	}
	if len(drawn) != 11 {
		t.Fatalf("sources: %d", len(drawn))
	}
	for source, values := range drawn {
		if len(values) != clones {
			t.Errorf("%s: %d different values of %d clones", source, len(values), clones)
		}
	}
}

// TestSentryIsConfined looks at a running sandbox from the host.
func TestSentryIsConfined(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: another process's descriptors cannot be read")
	}
	needPython(t)
	cmd := brig(t.Context(), "run", "--template", "python", "--timeout", "60s", "--", "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	for _, pid := range sentriesOf(t, cmd.Process.Pid) {
		status := readProc(t, pid, "status")
		for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "NoNewPrivs:\t1", "Seccomp:\t2", "CapPrm:\t0000000000080000"} {
			if !strings.Contains(status, want) {
				t.Errorf("sentry %d lacks %q:\n%s", pid, want, status)
			}
		}
		if environ := readProc(t, pid, "environ"); strings.Contains(environ, "PATH=") {
			t.Errorf("the host's environment is in the sentry: %q", environ)
		}
		for _, ns := range []string{"net", "mnt", "pid", "user", "ipc", "uts"} {
			ours, _ := os.Readlink("/proc/self/ns/" + ns)
			theirs, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
			if ours == theirs || theirs == "" {
				t.Errorf("sentry %d shares the %s namespace", pid, ns)
			}
		}
		checkDescriptors(t, pid)
	}
}

// known are the descriptors that a sentry may hold.
var known = regexp.MustCompile(`^(/dev/null|/memfd:.*|socket:.*|pipe:.*|anon_inode:.*|/proc/.*|.*\.erofs|.*/#\d+ \(deleted\))$`)

func checkDescriptors(t *testing.T, pid int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil && !known.MatchString(to) {
			t.Errorf("sentry %d holds %s", pid, to)
		}
	}
}

// sentriesOf waits for the boot processes below a process.
func sentriesOf(t *testing.T, parent int) []int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		entries, _ := os.ReadDir("/proc")
		var found []int
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
			stat, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
			if strings.HasPrefix(string(cmdline), "runsc-sandbox\x00") && strings.Contains(string(stat), fmt.Sprintf(" S %d ", parent)) {
				found = append(found, pid)
			}
		}
		// Seccomp comes last in a start.
		if len(found) > 0 && strings.Contains(readProc(t, found[0], "status"), "Seccomp:\t2") {
			return found
		}
	}
	t.Fatal("no sandbox came up")
	return nil
}

func readProc(t *testing.T, pid int, name string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
