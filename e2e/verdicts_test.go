package e2e

import (
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

// hostile is one program and the fate that it must have. The result is written
// where the verdict is ok.
type hostile struct {
	id, language string
	code         string
	want         api.Verdict
	timeout      float64 // seconds; default 20
	reason       string  // must be in the error or the evidence
}

const finish = "\nopen('/work/result.json','w').write('{\"done\":true}')\n"

var hostilePrograms = []hostile{
	{id: "well-behaved", code: "print('hello')" + finish, want: api.OK},
	{id: "endless-loop", code: "while True: pass", want: api.Timeout, timeout: 2},
	{id: "sleep", code: "import time; time.sleep(600)", want: api.Timeout, timeout: 1},
	{id: "balloon", code: "x = []\nwhile True: x.append(b'x' * (8 << 20))", want: api.OOM},
	{id: "balloon-tree", code: `
import os
kids = []
for i in range(8):
    pid = os.fork()
    if pid == 0:
        x = [b'x' * (1 << 20) for _ in range(150)]
        import time; time.sleep(30); os._exit(0)
    kids.append(pid)
bad = [os.waitpid(k, 0)[1] for k in kids]
raise SystemExit(1 if any(bad) else 0)`, want: api.OOM, timeout: 60},
	{id: "fill-tmp", code: "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20)); f.flush()", want: api.DiskFull},
	{id: "fill-work", code: "f = open('/work/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20)); f.flush()", want: api.DiskFull},
	{id: "fill-shm", code: "f = open('/dev/shm/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20)); f.flush()", want: api.DiskFull},
	{id: "shared-memory", code: "from multiprocessing import shared_memory, Lock\nLock()\ns = shared_memory.SharedMemory(create=True, size=1 << 20)\ns.buf[5] = 7\ns.close(); s.unlink()" + finish, want: api.OK},
	{id: "multiprocessing", code: "from multiprocessing import Pool\nif __name__ == '__main__':\n    with Pool(3) as p: assert sum(p.map(abs, range(100))) == 4950\n    open('/work/result.json','w').write('{}')", want: api.OK},
	{id: "million-inodes", code: "import os\nfor i in range(1000000): os.close(os.open('/work/%d' % i, os.O_CREAT))" + finish, want: api.Timeout, timeout: 5},
	{id: "fork-bomb", language: "sh", code: "bomb() { bomb | bomb & }; bomb; wait; sleep 60", want: api.PIDs, timeout: 5},
	{id: "fork-until-refused", code: `
import os
while True:
    if os.fork() == 0: os.execvp("sleep", ["sleep", "60"])`, want: api.PIDs, timeout: 60},
	{id: "heavy-forks", code: "import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(60); os._exit(0)", want: api.OOM, timeout: 60},
	{id: "thread-bomb", code: "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", want: api.PIDs},
	{id: "endless-stdout", code: "while True: print('x' * 1000)", want: api.OutputLimit},
	{id: "endless-yes", language: "sh", code: "yes", want: api.OutputLimit},
	{id: "gigabyte-line", code: "import sys\nfor _ in range(1024): sys.stdout.write('x' * (1 << 20))", want: api.OutputLimit},
	{id: "not-utf8", code: "import os; os.write(1, bytes(range(256)))" + finish, want: api.OK},
	{id: "exit-3", code: "raise SystemExit(3)", want: api.Nonzero},
	{id: "os-exit-after-result", code: finish + "\nimport os; os._exit(0)", want: api.OK},
	{id: "syntax-error", code: "def (:", want: api.Nonzero},
	{id: "kill-self", code: "import os; os.kill(os.getpid(), 9)", want: api.Signal},
	{id: "segfault", code: "import ctypes; ctypes.string_at(0)", want: api.Signal},
	{id: "stop-self", code: "import os; os.kill(os.getpid(), 19)", want: api.Timeout, timeout: 2},
	{id: "stop-all", language: "sh", code: "kill -STOP -1; kill -STOP $$", want: api.Timeout, timeout: 2},
	{id: "kill-all", language: "sh", code: "kill -KILL -1; kill -KILL $$", want: api.Signal},
	{id: "daemon", code: `
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)` + finish, want: api.OK},
	{id: "rm-rf", language: "sh", code: "rm -rf --no-preserve-root / 2>/dev/null; echo '{\"survived\":true}' > /work/result.json", want: api.OK, timeout: 60},
	{id: "poweroff", language: "sh", code: "poweroff -f; reboot -f; halt -f; echo b > /proc/sysrq-trigger; kill -9 1; echo '{}' > /work/result.json", want: api.OK},
	{id: "reboot-call", code: "import ctypes, os\nr = ctypes.CDLL(None).reboot(0x4321fedc)\nassert r != 0" + finish, want: api.OK},
	{id: "no-result", code: "print('forgot')", want: api.BadResult, reason: "/work/result.json"},
	{id: "not-json", code: "open('/work/result.json','w').write('{oops')", want: api.BadResult, reason: "JSON"},
	{id: "two-documents", code: "open('/work/result.json','w').write('{} {}')", want: api.BadResult, reason: "JSON"},
	{id: "not-utf8-json", code: "open('/work/result.json','wb').write(b'\"\\xff\\xfe\"')", want: api.BadResult},
	{id: "too-large", code: "open('/work/result.json','w').write('[' + '1,' * (20 << 20) + '1]')", want: api.BadResult, reason: "large"},
	{id: "directory", code: "import os; os.mkdir('/work/result.json')", want: api.BadResult},
	{id: "fifo", code: "import os; os.mkfifo('/work/result.json')", want: api.BadResult},
	{id: "socket", code: "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/work/result.json')", want: api.BadResult},
	{id: "device", code: "import os; os.symlink('/dev/zero', '/work/result.json')", want: api.BadResult},
	{id: "symlink", code: "import os; os.symlink('/etc/passwd', '/work/result.json')", want: api.BadResult},
	{id: "sparse-terabyte", code: "f = open('/work/result.json','wb'); f.truncate(1 << 40)", want: api.BadResult, reason: "large"},
	{id: "deep-json", code: "open('/work/result.json','w').write('[' * 100000 + ']' * 100000)", want: api.BadResult},
	{id: "work-replaced", language: "sh", code: "cd /; rm -rf /work; ln -s /etc /work; exit 0", want: api.BadResult},
}

// TestVerdicts runs every program of the table in one batch, each in its own
// gVisor sandbox, and compares fates.
func TestVerdicts(t *testing.T) {
	needPython(t)
	var items []api.Item
	for _, h := range hostilePrograms {
		items = append(items, api.Item{CustomID: h.id, Code: h.code, Language: h.language, Timeout: h.timeout})
	}
	results, o := batch(t, items)
	if o.code != 3 {
		t.Errorf("exit code %d, want 3: %s", o.code, o.stderr)
	}
	for _, h := range hostilePrograms {
		t.Run(h.id, func(t *testing.T) {
			r, ok := results[h.id]
			if !ok {
				t.Fatal("no result")
			}
			if r.Verdict != h.want {
				t.Errorf("verdict %s, want %s: %+v; error %v; stderr %.300q", r.Verdict, h.want, r.Evidence, r.Error, r.Stderr)
			}
			if r.OK != (h.want == api.OK) || (r.OK && r.Result == nil) || (!r.OK && r.Result != nil && string(r.Result) != "null") {
				t.Errorf("ok %v, result %.100s", r.OK, r.Result)
			}
			if r.Isolation != api.RungGVisor {
				t.Errorf("isolation %s", r.Isolation)
			}
			if h.reason != "" && (r.Error == nil || !strings.Contains(r.Error.Message, h.reason)) {
				t.Errorf("error %v does not say %q", r.Error, h.reason)
			}
		})
	}
	checkDetails(t, results)
}

func checkDetails(t *testing.T, results map[string]api.ItemResult) {
	t.Helper()
	if r := results["exit-3"]; r.ExitCode == nil || *r.ExitCode != 3 {
		t.Errorf("exit-3: exit code %v", r.ExitCode)
	}
	if r := results["kill-self"]; r.Signal == nil || *r.Signal != "SIGKILL" {
		t.Errorf("kill-self: signal %v", r.Signal)
	}
	if r := results["not-utf8"]; r.StdoutBase64 == "" {
		t.Error("not-utf8: the bytes are lost")
	}
	for _, id := range []string{"endless-stdout", "gigabyte-line", "endless-yes"} {
		if r := results[id]; !r.Truncated.Stdout || r.Usage.OutputBytes < 1<<20 || int64(len(r.Stdout)) > 1<<20 {
			t.Errorf("%s: truncated %v, %d bytes counted, %d kept", id, r.Truncated, r.Usage.OutputBytes, len(r.Stdout))
		}
	}
	if r := results["symlink"]; strings.Contains(string(r.Result), "root") {
		t.Error("symlink: read through it")
	}
}

// TestCPUTime is a spin past a limit of processor time, which a batch has no
// flag for.
func TestCPUTime(t *testing.T) {
	needPython(t)
	o := run(t, "while True: pass", "run", "--template", "python", "--cpu-time", "1s", "--timeout", "30s", "--code", "-", "--json")
	if !strings.Contains(o.stdout, `"verdict":"cpu_time"`) && !strings.Contains(o.stdout, `"verdict": "cpu_time"`) {
		t.Errorf("exit %d: %s %s", o.code, o.stdout, o.stderr)
	}
}
