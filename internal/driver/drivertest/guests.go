package drivertest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/guest"
)

// output is what a program did.
type output struct {
	guest.ExitReport
	stdout, stderr string
}

func (s *suite) request(p Program) guest.ExecRequest {
	return guest.ExecRequest{
		Cwd:  api.WorkDir,
		Argv: s.opts.Program(p),
		Env:  map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin"},
	}
}

// run runs a program that nothing is fed to.
func (s *suite) run(t *testing.T, b box, p Program) output {
	t.Helper()
	return s.runWith(t, b, p, nil)
}

func (s *suite) runWith(t *testing.T, b box, p Program, stdin io.Reader) output {
	t.Helper()
	var out, errs bytes.Buffer
	report, err := b.guest.Exec(patient(t), s.request(p), guest.Streams{Stdin: stdin, Stdout: &out, Stderr: &errs})
	if err != nil {
		t.Errorf("exec %+v: %v", p, err)
	}
	return output{report, out.String(), errs.String()}
}

func (s *suite) testExec(t *testing.T) {
	b := s.create(t, s.spec())
	for _, tt := range []struct {
		name string
		p    Program
		want output
	}{
		{"nothing", Program{}, output{}},
		{"exit code", Program{Exit: 3}, output{ExitReport: guest.ExitReport{Status: 3 << 8}}},
		{"both streams", Program{Print: "out", Complain: "err"}, output{stdout: "out", stderr: "err"}},
	} {
		got := s.run(t, b, tt.p)
		if got.Status != tt.want.Status || got.stdout != tt.want.stdout || got.stderr != tt.want.stderr {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// testStdin passes more than one window through a program, byte for byte.
func (s *suite) testStdin(t *testing.T) {
	b := s.create(t, s.spec())
	for _, n := range []int{0, 1, guest.InitialWindow, 5*guest.InitialWindow + 17} {
		data := bytes.Repeat([]byte("\x00\xffabc\n"), n/6+1)[:n]
		// A reader of its own kind, so that it is pumped and not sent along.
		got := s.runWith(t, b, Program{Echo: true}, struct{ io.Reader }{bytes.NewReader(data)})
		if got.Status != 0 || got.stdout != string(data) {
			t.Errorf("%d bytes came back as %d, status %#x", n, len(got.stdout), got.Status)
		}
	}
}

func (s *suite) testFiles(t *testing.T) {
	b := s.create(t, s.spec())
	ctx := patient(t)
	data := bytes.Repeat([]byte("brig\x00\xff"), 50_000)
	for name, content := range map[string][]byte{"/work/empty": nil, "/work/deep/er/big": data} {
		if err := b.guest.Put(ctx, name, 0o640, bytes.NewReader(content)); err != nil {
			t.Fatalf("put %s: %v", name, err)
		}
		var got bytes.Buffer
		info, err := b.guest.Get(ctx, name, int64(len(content)), &got)
		if err != nil || !bytes.Equal(got.Bytes(), content) || info.Kind != api.FileRegular || info.Mode != 0o640 {
			t.Errorf("get %s: %d bytes, %+v, %v", name, got.Len(), info, err)
		}
	}
	list, err := b.guest.List(ctx, "/work", 100)
	if err != nil || len(list) != 2 {
		t.Errorf("list: %+v, %v", list, err)
	}
	if list, err := b.guest.List(ctx, "/work", 1); err != nil || len(list) != 1 {
		t.Errorf("list of one: %+v, %v", list, err)
	}
	for name, want := range map[string]syscall.Errno{
		"/work/none": syscall.ENOENT, "/work/deep": syscall.EISDIR, "/work/deep/er/big": syscall.EFBIG,
	} {
		if _, err := b.guest.Get(ctx, name, int64(len(data))-1, io.Discard); !errors.Is(err, want) {
			t.Errorf("get %s: %v, want %v", name, err, want)
		}
	}
	if out := s.run(t, b, Program{Write: "made", Content: "inside"}); out.Status != 0 {
		t.Errorf("write: %+v", out)
	}
	var got strings.Builder
	if _, err := b.guest.Get(ctx, "/work/made", 100, &got); err != nil || got.String() != "inside" {
		t.Errorf("get what a program wrote: %q, %v", got.String(), err)
	}
}

// onWrite calls f at the first write.
func onWrite(f func()) io.Writer { return &firstWrite{f: f} }

type firstWrite struct {
	once sync.Once
	f    func()
}

func (w *firstWrite) Write(b []byte) (int, error) {
	w.once.Do(w.f)
	return len(b), nil
}
