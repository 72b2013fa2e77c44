package hosttest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

func (s *suite) testSessionProcess(t *testing.T) {
	box := s.session(t)
	e := s.startEcho(s.ctx, t, box, api.ExecSpec{})
	if e.PID() <= 1 {
		t.Errorf("its pid is %d", e.PID())
	}
	wantCode(t, "a signal that is none", e.Signal(s.ctx, 99, false), api.CodeInvalid)
	if err := e.Signal(s.ctx, syscall.SIGTERM, false); err != nil {
		t.Error(err)
	}
	r, err := e.Wait()
	if err != nil || r.Verdict != api.Signal || r.Signal != "SIGTERM" {
		t.Errorf("%s by %s, %v; want the signal SIGTERM", r.Verdict, r.Signal, err)
	}
	if err := e.Signal(s.ctx, syscall.SIGTERM, true); err != nil {
		t.Errorf("a signal after its end: %v", err)
	}
	_, err = box.Attach(s.ctx, 4321, api.ExecSpec{}, host.Stdio{})
	wantCode(t, "attach to what is not there", err, api.CodeNotFound)
	s.wantAlive(t, box)

	// The end of the sandbox is the end of its programs.
	e = s.startEcho(s.ctx, t, box, api.ExecSpec{})
	if err := box.Destroy(s.ctx); err != nil {
		t.Fatal(err)
	}
	e.wantVerdict(t, api.Cancelled)
}

func (s *suite) testSessionTerminal(t *testing.T) {
	box := s.session(t)
	spec := api.ExecSpec{Argv: need(t, s.Programs.Sizes, "have a terminal"), Terminal: &api.Terminal{Rows: 33, Cols: 77}}
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	context.AfterFunc(s.ctx, func() {
		in.CloseWithError(s.ctx.Err())
		out.CloseWithError(s.ctx.Err())
	})
	p, err := box.Start(s.ctx, spec, host.Stdio{Stdin: stdin, Stdout: stdout})
	if err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	await := func(text string) {
		t.Helper()
		b := make([]byte, 1)
		for !strings.Contains(seen.String(), text) {
			if _, err := out.Read(b); err != nil {
				t.Fatalf("%v; it said %q and not %q", err, seen.String(), text)
			}
			seen.Write(b)
		}
	}
	await("33 77")
	if err := p.Resize(s.ctx, api.Terminal{Rows: 44, Cols: 88}); err != nil {
		t.Error(err)
	}
	go io.WriteString(in, "go on\n") // until the program reads, or in is closed
	await("44 88")
	go io.Copy(io.Discard, out)
	if r, err := p.Wait(); err != nil || r.Verdict != api.OK {
		t.Errorf("%s, %v", r.Verdict, err)
	}
}

func (s *suite) testSessionNames(t *testing.T) {
	box := s.session(t)
	ctx := s.ctx
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	must(box.Mkdir(ctx, "a/b", 0o755))
	must(box.Mkdir(ctx, "a/b", 0o755))
	must(box.Put(ctx, "a/b/file", 0o640, strings.NewReader("0123456789")))
	must(box.Symlink(ctx, "b/file", "a/link"))
	must(box.Rename(ctx, "a/b/file", "a/b/moved"))
	info, err := box.Stat(ctx, "a/link")
	if err != nil || info.Kind != api.FileSymlink || info.Target != "b/file" {
		t.Errorf("the link: %+v, %v", info, err)
	}
	var part bytes.Buffer
	info, err = box.Read(ctx, "a/b/moved", 3, 4, &part)
	if err != nil || part.String() != "3456" || info.Size != 10 {
		t.Errorf("a part of a file: %q, %+v, %v", part.String(), info, err)
	}
	part.Reset()
	if _, err = box.Read(ctx, "a/b/moved", 8, -1, &part); err != nil || part.String() != "89" {
		t.Errorf("the rest of a file: %q, %v", part.String(), err)
	}
	_, err = box.Stat(ctx, "a/b/file")
	wantCode(t, "what was moved", err, api.CodeNotFound)
	wantCode(t, "remove a full directory", box.Remove(ctx, "a", false), api.CodeConflict)
	must(box.Remove(ctx, "a", true))
	_, err = box.Stat(ctx, "a")
	wantCode(t, "what was removed", err, api.CodeNotFound)
}
