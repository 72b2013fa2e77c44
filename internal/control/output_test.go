package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// noFile is a log without room for a file.
func noFile() (string, bool) { return "", false }

func numbered(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.Bytes()
}

func TestOutputIsWhole(t *testing.T) {
	dir := t.TempDir()
	withFile := func() (string, bool) { return dir, true }
	for name, tt := range map[string]struct {
		file func() (string, bool)
		size int
	}{
		"memory":          {noFile, memoryOutput},
		"file":            {withFile, 3 << 20},
		"beyond the file": {withFile, fileOutput + 5<<20},
		"beyond memory":   {noFile, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOutputLog(tt.file)
			o.hold()
			want := bytes.Repeat([]byte("0123456789abcde\n"), tt.size/16)
			go func() {
				defer o.finish()
				_, _ = o.writer("stdout").Write(want)
			}()
			at := int64(0)
			err := o.follow(t.Context(), 0, true, true, func(c Chunk) error {
				if c.Offset != at || !bytes.Equal(c.Data, want[at:at+int64(len(c.Data))]) {
					return fmt.Errorf("a wrong chunk at %d, want %d", c.Offset, at)
				}
				at += int64(len(c.Data))
				return nil
			})
			if err != nil || at != int64(len(want)) {
				t.Errorf("got %d of %d bytes, %v", at, len(want), err)
			}
			o.discard()
		})
	}
}

// TestOutputComesBack leaves in mid-stream, while the program goes on printing
// more than is kept, and comes back: nothing between the two readings is lost.
func TestOutputComesBack(t *testing.T) {
	o := newOutputLog(noFile)
	o.hold()
	want := numbered(100_000)
	go func() {
		defer o.finish()
		_, _ = o.writer("stdout").Write(want)
	}()
	got := make([]byte, len(want))
	seen := int64(0)
	left := errors.New("the reader left")
	read := func(until int64) error {
		return o.follow(t.Context(), 0, true, true, func(c Chunk) error {
			if c.Offset > seen {
				return fmt.Errorf("%d bytes are lost", c.Offset-seen)
			}
			copy(got[c.Offset:], c.Data)
			seen = max(seen, c.Offset+int64(len(c.Data)))
			if seen >= until {
				return left
			}
			return nil
		})
	}
	for until := int64(100_000); until < int64(len(want)); until += 200_000 {
		if err := read(until); !errors.Is(err, left) {
			t.Fatalf("until %d: %v", until, err)
		}
	}
	if err := read(1 << 60); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %d of %d bytes", err, seen, len(want))
	}
}

// TestOutputWaitsNotForever wants a program that nobody reads to go on.
func TestOutputWaitsNotForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		o := newOutputLog(noFile)
		o.hold()
		_, _ = o.writer("stdout").Write(numbered(50_000))
		if waited := time.Since(began); waited != holdFor {
			t.Errorf("it waited %v for a reader that never came, want %v", waited, holdFor)
		}
		_, _ = o.writer("stdout").Write(numbered(50_000))
		if waited := time.Since(began); waited != holdFor {
			t.Errorf("it waited again: %v", waited)
		}
		if start, end := o.span(); end-start > memoryOutput {
			t.Errorf("%d bytes are kept, want at most %d", end-start, memoryOutput)
		}
	})
}

// TestOutputOfASandboxThatEnds has a reader that takes nothing, which must not
// hold up the sandbox's end.
func TestOutputOfASandboxThatEnds(t *testing.T) {
	o := newOutputLog(noFile)
	gone := make(chan struct{})
	o.endsWith(gone)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stuck := make(chan struct{})
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		_ = o.follow(ctx, 0, true, true, func(Chunk) error { close(stuck); <-ctx.Done(); return ctx.Err() })
	}()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = o.writer("stdout").Write([]byte("first"))
		<-stuck
		_, _ = o.writer("stdout").Write(numbered(50_000))
	}()
	<-stuck
	close(gone)
	<-written
	cancel()
	<-reader
}

func TestOutputStreams(t *testing.T) {
	o := newOutputLog(noFile)
	for range maxRuns { // each write is a run of its own
		_, _ = o.writer("stdout").Write([]byte("a"))
		_, _ = o.writer("stderr").Write([]byte("b"))
	}
	o.finish()
	if len(o.runs) > maxRuns {
		t.Errorf("%d runs are kept, at most %d", len(o.runs), maxRuns)
	}
	last := int64(0)
	err := o.follow(t.Context(), 0, true, false, func(c Chunk) error {
		want := map[bool]Chunk{true: {Stream: "stdout", Data: []byte("a")}, false: {Stream: "stderr", Data: []byte("b")}}[c.Offset%2 == 0]
		if c.Stream != want.Stream || !bytes.Equal(c.Data, want.Data) {
			return fmt.Errorf("%s %q at %d", c.Stream, c.Data, c.Offset)
		}
		last = c.Offset
		return nil
	})
	if err != nil || last != 2*maxRuns-1 {
		t.Errorf("%v, the last byte is at %d", err, last)
	}
}
