package control_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
)

// TestProcessesSleep has a process go to sleep with its sandbox, with a reader
// attached, and go on when that wakes.
func TestProcessesSleep(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	p, err := sb.LaunchProcess(t.Context(), api.ExecRequest{Argv: []string{"cat"}}, control.ProcessOptions{OpenStdin: true})
	if err != nil {
		t.Fatal(err)
	}
	ended, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"true"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sb.WaitProcess(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	printed := make(chan string, 9)
	read := make(chan error, 1)
	go func() {
		read <- sb.AttachProcess(t.Context(), p.ID, func(c control.Chunk) error { printed <- string(c.Data); return nil })
	}()
	write := func(text string, eof bool) {
		t.Helper()
		if err := sb.WriteProcess(t.Context(), p.ID, strings.NewReader(text), eof); err != nil {
			t.Fatal(err)
		}
	}
	write("before", false)
	if got := <-printed; got != "before" {
		t.Fatalf("printed %q", got)
	}
	for range 2 {
		if err := sb.Hibernate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := sb.FindProcess(p.PID, ""); err != nil || got.ID != p.ID || !got.Running || r.Boxes() != 0 {
			t.Errorf("while it sleeps: %+v, %v, %d boxes", got, err, r.Boxes())
		}
		write("after", false) // which wakes it
		if got := <-printed; got != "after" {
			t.Errorf("printed %q", got)
		}
	}
	write("", true)
	if err := <-read; err != nil {
		t.Errorf("the reader: %v", err)
	}
	if got, err := sb.WaitProcess(t.Context(), p.ID); err != nil || got.Result.Verdict != api.OK || got.OutputBytes != 16 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWakeBesideAnIdleWriter: who has a process's stdin open and sends nothing holds
// up neither the sandbox's waking nor what is asked of the process.
func TestWakeBesideAnIdleWriter(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	p, err := sb.LaunchProcess(t.Context(), api.ExecRequest{Argv: []string{"cat"}}, control.ProcessOptions{OpenStdin: true})
	if err != nil {
		t.Fatal(err)
	}
	typed, typist := io.Pipe()
	written := make(chan error, 1)
	go func() { written <- sb.WriteProcess(t.Context(), p.ID, typed, false) }()
	if _, err := typist.Write([]byte("before")); err != nil { // the writer is at work
		t.Fatal(err)
	}
	if err := sb.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	woken := make(chan error, 1)
	go func() { woken <- sb.Wake(t.Context()) }()
	select {
	case err := <-woken:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the sandbox waits for the writer")
	}
	if _, err := typist.Write([]byte("too late")); err != nil {
		t.Fatal(err)
	}
	if err := <-written; api.CodeOf(err) != api.CodeConflict {
		t.Errorf("what came too late: %v", err)
	}
}

func TestProcessesEndWithASandboxThatSleeps(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	p, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"hang"}, TimeoutSeconds: 60}, false)
	if err != nil {
		t.Fatal(err)
	}
	late, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"hang"}, TimeoutSeconds: 0.3}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sb.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := sb.WaitProcess(t.Context(), late.ID); err != nil || !got.Result.TimedOut || got.Result.DurationMS > (20*time.Second).Milliseconds() {
		t.Errorf("a timeout after a sleep: %+v, %v", got.Result, err)
	}
	if err := sb.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := sb.WaitProcess(t.Context(), p.ID); err != nil || got.Result == nil || got.Result.Verdict != api.Cancelled {
		t.Errorf("%+v, %v", got, err)
	}
}
