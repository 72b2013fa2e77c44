package interpreter

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// A cell and what has to come of it. Empty fields are not checked.
type sample struct {
	code           string
	value          string // of the last expression
	stdout, stderr string // a part of it
	failure        string // the error's name
	trace          string // a part of the traceback
	mime, data     string // a result of that type has this part
}

func check(t *testing.T, k *Kernel, samples []sample) {
	t.Helper()
	for _, s := range samples {
		x := run(t, k, s.code, RunOptions{})
		if got := mainText(x); got != s.value {
			t.Errorf("%s\nshows %q, want %q", s.code, got, s.value)
		}
		if !strings.Contains(x.Stdout, s.stdout) || !strings.Contains(x.Stderr, s.stderr) {
			t.Errorf("%s\nprints %q and %q, want %q and %q", s.code, x.Stdout, x.Stderr, s.stdout, s.stderr)
		}
		failure, trace := "", ""
		if x.Error != nil {
			failure, trace = x.Error.Name, x.Error.Traceback
		}
		if failure != s.failure || !strings.Contains(trace, s.trace) || strings.Contains(trace, "\x1b") {
			t.Errorf("%s\nfails with %q (%s), want %q (%s)", s.code, failure, trace, s.failure, s.trace)
		}
		if s.mime != "" && !shows(x, s.mime, s.data) {
			t.Errorf("%s\nshows no %s with %q: %v", s.code, s.mime, s.data, x.Results)
		}
	}
}

func shows(x api.CodeExecution, mime, part string) bool {
	for _, r := range x.Results {
		if data, ok := r.Data[mime]; ok && strings.Contains(data, part) {
			return true
		}
	}
	return false
}

func TestPythonCells(t *testing.T) {
	for name, env := range map[string]map[string]string{"IPython": nil, "plain": {"PYTHONPATH": "no-ipython"}} {
		t.Run(name, func(t *testing.T) {
			l := newLocal(t, kernel.Python)
			if env != nil {
				hideIPython(t, l)
				env = map[string]string{"PYTHONPATH": l.dir + "/hidden"}
			} else {
				l.hasModules(t, "IPython")
			}
			k := openIn(t, l, kernel.Python, Options{Env: env})
			check(t, k, pythonCells())
		})
	}
}

func pythonCells() []sample {
	return []sample{
		{code: ""},
		{code: "x = 40", value: ""},
		{code: "x + 2", value: "42"},
		{code: "'grün €😀'", value: "'grün €😀'"},
		{code: "print('grün €😀', end='')", stdout: "grün €😀"},
		{code: "import os; n = os.write(1, b'raw\\xff')", stdout: "raw\ufffd"},
		{code: "n = os.system('echo child; echo error >&2')", stdout: "child", stderr: "error"},
		{code: "import sys; n = sys.stdout.buffer.write(b'bytes')", stdout: "bytes"},
		{code: "input()", failure: "EOFError"},
		{code: "print('before'); 1/0", stdout: "before", failure: "ZeroDivisionError", trace: "1/0"},
		{code: "def f(: pass", failure: "SyntaxError"},
		{code: "sys.exit(3)", failure: "SystemExit"},
		{code: "raise KeyboardInterrupt", failure: "KeyboardInterrupt"},
		{code: "import asyncio\nawait asyncio.sleep(0, 'awaited')", value: "'awaited'"},
		{code: "print('\\ud800')", stdout: "\n"},
		{code: "class H:\n  def _repr_html_(self): return '<b>x</b>'\ndisplay(H())", mime: "text/html", data: "<b>x</b>"},
		{code: "class P:\n  def _repr_png_(self): return b'abc'\n  def __repr__(self): return 'P'\nP()", value: "P", mime: "image/png", data: "YWJj"},
		{code: "class J:\n  def _repr_json_(self): return {'a': 1}\n  def __repr__(self): return 'J'\nJ()", value: "J", mime: "application/json", data: `{"a": 1}`},
		{code: "if os.fork() == 0: print('in a child')\nelse: n = os.wait()", stdout: ""},
		{code: "x", value: "40"},
		{code: "os.closerange(3, 200); x", value: "40"},
	}
}

func TestPandasAndFigures(t *testing.T) {
	l := newLocal(t, kernel.Python)
	l.hasModules(t, "IPython", "pandas", "matplotlib")
	for name, hidden := range map[string]bool{"IPython": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			o := Options{}
			if hidden {
				hideIPython(t, l)
				o.Env = map[string]string{"PYTHONPATH": l.dir + "/hidden"}
			}
			k := openIn(t, l, kernel.Python, o)
			check(t, k, []sample{
				{code: "import pandas as pd; pd.DataFrame({'a': [1]})", value: "   a\n0  1", mime: "text/html", data: "<table"},
				{code: "import matplotlib.pyplot as plt; lines = plt.plot([1, 2])", mime: "image/png", data: "iVBOR"},
				{code: "fig = plt.figure(); fig.gca().plot([1]); plt.show(); 7", value: "7", mime: "image/png", data: "iVBOR"},
			})
			if x := run(t, k, "1", RunOptions{}); len(x.Results) != 1 {
				t.Errorf("a figure is shown again: %d results", len(x.Results))
			}
		})
	}
}

func TestJavaScriptCells(t *testing.T) {
	k := open(t, kernel.JavaScript, Options{})
	check(t, k, []sample{
		{code: ""},
		{code: "const x = 40; let y = 1; class A {}", value: ""},
		{code: "x + 2", value: "42"},
		{code: "const x = 41; class A { z() {} }; x", value: "41"},
		{code: "'grün €😀'", value: "'grün €😀'"},
		{code: "console.log('grün €😀'); console.error('bad')", stdout: "grün €😀\n", stderr: "bad\n"},
		{code: "void require('fs').writeSync(1, Buffer.from([114, 0xff]))", stdout: "r\ufffd"},
		{code: "void require('child_process').execSync('echo child; echo error >&2', {stdio: 'inherit'})", stdout: "child", stderr: "error"},
		{code: "require('fs').readFileSync(0).length", value: "0"},
		{code: "({ a: [1], b: 'x' })", value: "{ a: [ 1 ], b: 'x' }", mime: "application/json", data: `{"a":[1],"b":"x"}`},
		{code: "throw new TypeError('no')", failure: "TypeError", trace: "cell_"},
		{code: "throw 5", failure: "Error"},
		{code: "let = ", failure: "SyntaxError"},
		{code: "const z = await Promise.resolve(7); z", value: "7"},
		{code: "import fs, { readFileSync as r } from 'fs'\nimport * as os from \"node:os\"; r === fs.readFileSync && typeof os.cpus", value: "'function'"},
		{code: "'import(' + (await import('path')).join('a', 'b')", value: "'import(a/b'"},
		{code: "display.html('<b>'); display.png(Buffer.from('abc')); display.markdown('*a*')", mime: "image/png", data: "YWJj"},
		{code: "display.svg('<svg/>')", mime: "image/svg+xml", data: "<svg/>"},
		{code: "setTimeout(() => { throw new Error('later') }); await new Promise((r) => setTimeout(r, 20)); 'lives'", value: "'lives'", stderr: "later"},
		{code: "10n", value: "10n"},
		{code: "x", value: "41"},
	})
}

// hideIPython puts an IPython in the way that cannot be imported.
func hideIPython(t *testing.T, l *local) {
	t.Helper()
	if out, err := exec.Command("mkdir", "-p", l.dir+"/hidden").CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	write(t, l.dir+"/hidden/IPython.py", "raise ImportError('hidden')\n")
}

func TestTimeout(t *testing.T) {
	for _, c := range []struct{ language, loop, set, get, value string }{
		{kernel.Python, "while True: pass", "v = 5", "v", "5"},
		{kernel.Python, "import time; time.sleep(1000)", "v = 6", "v", "6"},
		{kernel.Python, "import subprocess; subprocess.run(['sleep', '1000'])", "v = 7", "v", "7"},
		{kernel.Python, "import asyncio; await asyncio.sleep(1000)", "v = 8", "v", "8"},
		{kernel.Python, "while True: print('x' * 100)", "v = 9", "v", "9"},
		{kernel.JavaScript, "for (;;) {}", "v = 5", "v", "5"},
		{kernel.JavaScript, "await new Promise(() => 0)", "v = 6", "v", "6"},
		{kernel.JavaScript, "await 1; for (;;) {}", "v = 7", "v", "7"},
		{kernel.JavaScript, "for (;;) console.log('x')", "v = 8", "v", "8"},
	} {
		t.Run(c.language+" "+c.loop, func(t *testing.T) {
			k := open(t, c.language, Options{Grace: time.Minute})
			run(t, k, c.set, RunOptions{})
			x := run(t, k, c.loop, RunOptions{Timeout: 200 * time.Millisecond, OutputBytes: 1000})
			if !x.TimedOut || x.Restarted || x.Error == nil {
				t.Errorf("the cell ended as %+v", x)
			}
			if got := mainText(run(t, k, c.get, RunOptions{})); got != c.value {
				t.Errorf("afterwards the state is %q, want %q", got, c.value)
			}
		})
	}
}

// A cell that cannot be interrupted costs the kernel, not the session.
func TestDisobedient(t *testing.T) {
	for language, code := range map[string]string{
		kernel.Python:     "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
		kernel.JavaScript: "setTimeout(() => { for (;;); }); await new Promise(() => 0)",
	} {
		k := open(t, language, Options{Grace: 200 * time.Millisecond})
		x := run(t, k, code, RunOptions{Timeout: 200 * time.Millisecond})
		if !x.Restarted || !strings.Contains(x.Reason, "did not end") {
			t.Errorf("%s: the cell ended as %+v", language, x)
		}
		if got := mainText(run(t, k, "1 + 1", RunOptions{})); got != "2" {
			t.Errorf("%s: afterwards 1 + 1 is %q", language, got)
		}
	}
}

func TestDeath(t *testing.T) {
	for _, c := range []struct{ language, code, reason string }{
		{kernel.Python, "import os; os._exit(3)", "exit code 3"},
		{kernel.Python, "import os; os.kill(os.getpid(), 9)", "SIG9"},
		{kernel.Python, "import ctypes; ctypes.string_at(0)", "Segmentation fault"},
		{kernel.JavaScript, "process.exit(4)", "exit code 4"},
		{kernel.JavaScript, "process.kill(process.pid, 'SIGKILL'); for (;;);", "SIG9"},
	} {
		t.Run(c.code, func(t *testing.T) {
			k := open(t, c.language, Options{})
			run(t, k, "x = 1", RunOptions{})
			x := run(t, k, c.code, RunOptions{})
			if !x.Restarted || !strings.Contains(x.Reason, c.reason) {
				t.Errorf("the cell ended as %+v, want %q as its reason", x, c.reason)
			}
			y := run(t, k, "x", RunOptions{})
			if y.Error == nil || y.Count != 1 {
				t.Errorf("the new kernel is not a new one: %+v", y)
			}
		})
	}
}

// A flood is capped, is said to be, ends soon and does not fill our memory.
func TestFlood(t *testing.T) {
	for _, c := range []struct{ language, code string }{
		{kernel.Python, "for i in range(1_000_000): print('x' * 99)"},
		{kernel.Python, "print('é' * 100_000_000)"},
		{kernel.Python, "import os; n = os.system('yes | head -c 100000000')"},
		{kernel.JavaScript, "console.log('é'.repeat(1e8))"},
	} {
		k := open(t, c.language, Options{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		x := run(t, k, c.code, RunOptions{})
		runtime.ReadMemStats(&after)
		if !x.Truncated || len(x.Stdout) > DefaultOutputBytes || len(x.Stdout) < DefaultOutputBytes-8 {
			t.Errorf("%s\nleaves %d bytes, truncated %v", c.code, len(x.Stdout), x.Truncated)
		}
		if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 30<<20 {
			t.Errorf("%s\nleaves %d MiB on our heap", c.code, grown>>20)
		}
		if mainText(run(t, k, "1 + 1", RunOptions{})) != "2" {
			t.Errorf("%s\nbreaks the next cell", c.code)
		}
	}
}

func TestLargeResult(t *testing.T) {
	k := open(t, kernel.Python, Options{})
	x := run(t, k, "class A:\n  def _repr_html_(self): return 'x' * 20_000_000\n  def __repr__(self): return 'small'\nA()", RunOptions{})
	if !x.Truncated || mainText(x) != "small" || len(x.Results[0].Data) != 1 {
		t.Errorf("the result is %+v", x)
	}
}

func TestStream(t *testing.T) {
	k := open(t, kernel.Python, Options{})
	first := make(chan string, 1)
	sink := func(e api.CodeEvent) {
		if e.Stdout != "" {
			select {
			case first <- e.Stdout:
			default:
			}
		}
	}
	// The cell waits for a file that is made when its output was seen.
	go func() {
		<-first
		write(t, k.s.(*local).dir+"/seen", "")
	}()
	x := run(t, k, "import os, time; print('now')\nwhile not os.path.exists('seen'): time.sleep(0.01)", RunOptions{Sink: sink, Timeout: time.Minute})
	if x.TimedOut || x.Stdout != "now\n" {
		t.Errorf("the cell ended as %+v", x)
	}
}

func TestSessionsAreSeparate(t *testing.T) {
	l := newLocal(t, kernel.Python)
	a, b := openIn(t, l, kernel.Python, Options{}), openIn(t, l, kernel.Python, Options{})
	run(t, a, "x = 1", RunOptions{})
	if x := run(t, b, "x", RunOptions{}); x.Error == nil || x.Error.Name != "NameError" {
		t.Errorf("a session sees another's state: %+v", x)
	}
	if a.Ref().ID == b.Ref().ID {
		t.Error("two sessions have one id")
	}
}

func TestQueue(t *testing.T) {
	k := open(t, kernel.Python, Options{})
	run(t, k, "n = 0", RunOptions{})
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if _, err := k.Run(t.Context(), "n += 1", RunOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := run(t, k, "n", RunOptions{}); mainText(got) != "20" || got.Count != 22 {
		t.Errorf("after 20 cells: %+v", got)
	}
}

func TestEnvOfOneCell(t *testing.T) {
	for language, get := range map[string]string{kernel.Python: "import os; os.environ.get('Q', '-')", kernel.JavaScript: "process.env.Q ?? '-'"} {
		k := open(t, language, Options{Env: map[string]string{"Q": "a"}})
		one := mainText(run(t, k, get, RunOptions{Env: map[string]string{"Q": "b"}}))
		two := mainText(run(t, k, get, RunOptions{}))
		if one != "'b'" || two != "'a'" {
			t.Errorf("%s: the cell sees %s, the next one %s", language, one, two)
		}
	}
}

func TestRestartAndClose(t *testing.T) {
	k := open(t, kernel.Python, Options{})
	run(t, k, "x = 1", RunOptions{})
	if err := k.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x := run(t, k, "x", RunOptions{}); x.Error == nil {
		t.Error("the state outlived the restart")
	}
	// A cell that runs ends when its session does.
	begun := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		_, err := k.Run(t.Context(), "print(1)\nwhile True: pass", RunOptions{Sink: func(api.CodeEvent) { begun <- struct{}{} }})
		ended <- err
	}()
	<-begun
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; codeOf(err) != api.CodeConflict {
		t.Errorf("the cell of a closed session ended with %v", err)
	}
	if _, err := k.Run(t.Context(), "1", RunOptions{}); codeOf(err) != api.CodeConflict {
		t.Errorf("a closed session runs a cell: %v", err)
	}
}

func TestCallerGoesAway(t *testing.T) {
	k := open(t, kernel.Python, Options{})
	run(t, k, "x = 1", RunOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := k.Run(ctx, "print(1)\nwhile True: pass", RunOptions{Sink: func(api.CodeEvent) { cancel() }})
	if codeOf(err) != api.CodeCancelled {
		t.Errorf("the cell ended with %v", err)
	}
	if mainText(run(t, k, "x", RunOptions{})) != "1" {
		t.Error("the session was lost")
	}
}

func TestRefusals(t *testing.T) {
	if _, err := Open(t.Context(), newLocal(t, ""), "cobol", Options{}); codeOf(err) != api.CodeInvalid {
		t.Errorf("a language without a kernel: %v", err)
	}
	k := open(t, kernel.Python, Options{})
	for _, code := range []string{strings.Repeat("#", kernel.MaxCode+1), "'\xff'"} {
		if _, err := k.Run(t.Context(), code, RunOptions{}); codeOf(err) != api.CodeInvalid {
			t.Errorf("a cell of %d bytes: %v", len(code), err)
		}
	}
	l := newLocal(t, "")
	l.python = "/nonexistent"
	if _, err := Open(t.Context(), l, kernel.Python, Options{}); codeOf(err) != api.CodeUnavailable {
		t.Errorf("a sandbox without Python: %v", err)
	}
}
